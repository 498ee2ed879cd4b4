"""Training touches no tensor of another device than the model's.

The meta device computes nothing, and refuses tensors of other devices as CUDA does: what runs
there, runs on a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainingArguments

from langidd_training.fit.features import log_mel
from langidd_training.fit.model import fresh_model
from langidd_training.fit.presets import recipe
from langidd_training.fit.quick_check import batch_logits
from langidd_training.fit.running_mean import FILE, RunningMean
from langidd_training.fit.teacher import ask_teacher, blended
from langidd_training.fit.train import train
from tests.support.prepared_speech import LANGUAGES, prepare_few
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

META = torch.device("meta")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


def test_log_mel_stays_on_the_device_of_its_samples():
    assert log_mel(torch.zeros(2, 16_000, device=META)).device == META


def test_a_check_moves_its_samples_to_the_model(whisper: Path):
    model = fresh_model(str(whisper), LANGUAGES).to(META)
    logits = batch_logits(model, torch.zeros(2, 16_000))
    assert (logits.device, logits.shape, logits.dtype) == (META, (2, 3), torch.float32)


def test_a_resumed_running_mean_is_where_the_weights_are(whisper: Path, tmp_path: Path):
    model = fresh_model(str(whisper), LANGUAGES)
    place = tmp_path / "checkpoint-3"
    place.mkdir()
    save_file({name: value.data for name, value in model.named_parameters()}, place / FILE)
    model.to(META)
    mean = RunningMean(0.9)
    state = type("State", (), {"global_step": 3})
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[])
    mean.on_train_begin(arguments, state, None, model=model)
    mean.on_step_end(None, None, None, model=model)
    assert {value.device for value in mean.mean.values()} == {META}


def test_the_teachers_share_is_computed_where_the_head_is():
    weights = {
        "classifier.weight": torch.zeros(3, 8, device=META),
        "classifier.bias": torch.zeros(3, device=META),
    }
    taught = torch.nn.Linear(8, 4, device=META)
    mixed = blended(weights, taught, LANGUAGES, ["en", "ru", "tr", "de"], 0.5)
    assert {value.device for value in mixed.values()} == {META}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_a_gpu_from_recordings_to_a_checkpoint(
    speech: Path, whisper: Path, tmp_path: Path
):
    store = prepare_few(speech, tmp_path / "store")
    ask_teacher(store, str(whisper))
    small = recipe("default", steps=4, eval_steps=2, layers=1, frozen_layers=0, teacher_weight=1.0)
    keywords = {"checkpoint": str(whisper), "languages": LANGUAGES, "recipe": small, "workers": 0}
    packaged = train(store, tmp_path / "run", **keywords)
    assert (packaged / "model.safetensors").is_file()
    assert train(store, tmp_path / "run", **keywords) == packaged
