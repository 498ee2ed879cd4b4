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

from langidd.model.whisper.torch_log_mel import LogMel
from langidd_training.fit.check import window_logits
from langidd_training.fit.network import LanguageWhisper, open_network
from langidd_training.fit.presets import recipe
from langidd_training.fit.running_mean import FILE, RunningMean
from langidd_training.fit.teacher import ask_teacher
from langidd_training.fit.train import train
from tests.support.prepared_speech import LANGUAGES, prepare_few
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

META = torch.device("meta")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def network(whisper: Path) -> LanguageWhisper:
    return open_network(str(whisper), LANGUAGES)


def test_log_mel_stays_on_the_device_of_its_samples():
    assert LogMel(80, META)(torch.zeros(2, 16_000, device=META)).device == META


def test_a_check_moves_its_samples_to_the_model(network: LanguageWhisper):
    logits = window_logits(network.to(META), torch.zeros(2, 16_000))
    assert (logits.device, logits.shape, logits.dtype) == (META, (2, 5), torch.float32)


def test_a_network_that_has_run_can_move_to_another_device(network: LanguageWhisper):
    assert network(torch.zeros(1, 16_000)).device.type == "cpu"
    assert network.to(META)(torch.zeros(1, 16_000, device=META)).device == META


def test_a_resumed_running_mean_is_where_the_weights_are(network: LanguageWhisper, tmp_path: Path):
    place = tmp_path / "checkpoint-3"
    place.mkdir()
    save_file({name: value.clone() for name, value in network.state_dict().items()}, place / FILE)
    network.to(META)
    mean = RunningMean(0.9)
    state = type("State", (), {"global_step": 3})
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[])
    mean.on_train_begin(arguments, state, None, model=network)
    mean.on_step_end(None, None, None, model=network)
    assert {value.device for value in mean.mean.values()} == {META}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_a_gpu_from_recordings_to_a_checkpoint(
    speech: Path, whisper: Path, tmp_path: Path
):
    store = prepare_few(speech, tmp_path / "store")
    ask_teacher(store, str(whisper), every_clip=True)
    small = recipe("default", steps=4, eval_steps=2, frozen_layers=0, teacher_share=0.5)
    keywords = {"checkpoint": str(whisper), "languages": LANGUAGES, "recipe": small, "workers": 0}
    exported = train(store, tmp_path / "run", **keywords)
    assert (exported / "model.safetensors").is_file()
    assert train(store, tmp_path / "run", **keywords) == exported
