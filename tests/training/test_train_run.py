"""From a directory of recordings to a checkpoint that langidd opens: small, but all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForAudioClassification,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from typer.testing import CliRunner

from langidd.errors import ConfigError
from langidd.model.whisper.openvino_engine import load_engine
from langidd_training.cli import app
from langidd_training.data.store import Store
from langidd_training.fit.average import average
from langidd_training.fit.batches import Sampling
from langidd_training.fit.export import export
from langidd_training.fit.network import languages_of, open_network
from langidd_training.fit.presets import RECIPES, recipe
from langidd_training.fit.teacher import ask_teacher
from langidd_training.fit.train import build_trainer, train
from tests.support.prepared_speech import LANGUAGES, prepare_few
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("uz", "ru", "en", "tr", "az")
"""The targets first, then the tiny Whisper's others."""


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def store(speech: Path, whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = prepare_few(speech, tmp_path_factory.mktemp("store"))
    ask_teacher(store, str(whisper), every_clip=True)
    return store


def small(**changes: object) -> object:
    sampling = Sampling(
        contexts_s=(1.0, 1.5), shares={"uz": 2, "ru": 1, "en": 1, "turkic": 1, "other": 1}
    )
    settings = {"steps": 6, "eval_steps": 3, "sampling": sampling, "frozen_layers": 1, **changes}
    return recipe("default", **settings)


def keywords(whisper: Path) -> dict[str, object]:
    return {"checkpoint": str(whisper), "languages": LANGUAGES, "workers": 0}


def test_one_run_from_recordings_to_a_checkpoint_that_langidd_and_transformers_open(
    store: Store, whisper: Path, tmp_path: Path
):
    lines: list[str] = []
    exported = train(store, tmp_path, recipe=small(), say=lines.append, **keywords(whisper))
    config = json.loads((exported / "config.json").read_text())
    assert config["architectures"] == ["WhisperForConditionalGeneration"]
    assert config["vocab_size"] == 1 + len(LABELS)
    block = config["langidd"]
    assert (block["format"], block["head"], block["context"]) == (2, "language_tokens", "trimmed")
    assert tuple(block["languages"]) == LABELS
    assert (block["candidates"], block["least_context_s"]) == (LANGUAGES, 1.5)

    engine = load_engine(str(exported), precision="f32")
    assert (engine.labels, engine.context) == (LABELS, "trimmed")
    sound = store.samples(store.clips[0])[:16_000]
    scores = engine.logits([sound])
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0
    assert any("loss" in line and "min left" in line for line in lines)
    assert sum("dev at 1s" in line for line in lines) == 2

    stock, told = WhisperForConditionalGeneration.from_pretrained(
        exported, dtype=torch.float32, output_loading_info=True
    )
    assert not told["unexpected_keys"]
    assert all(".self_attn.q_proj." in key or ".self_attn.k_proj." in key
               for key in told["missing_keys"])  # fmt: skip
    features = WhisperFeatureExtractor.from_pretrained(exported)(
        sound, sampling_rate=16_000, return_tensors="pt"
    ).input_features
    with torch.inference_mode():
        answer = stock(input_features=features, decoder_input_ids=torch.zeros(1, 1, dtype=int))
    padded = load_engine(str(exported), precision="f32", context="padded").logits([sound])
    np.testing.assert_allclose(padded[0], answer.logits[0, 0, 1:].numpy(), atol=1e-4)


def test_what_is_frozen_stays_and_the_rest_learns(store: Store, whisper: Path, tmp_path: Path):
    train(store, tmp_path, recipe=small(), say=lambda _: None, **keywords(whisper))
    before = {name: value.half() for name, value in open_network(str(whisper), LANGUAGES)
              .state_dict().items()}  # fmt: skip
    after = load_file(tmp_path / "model" / "model.safetensors")
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert not [name for name in moved if ".conv" in name or "encoder.layers.0." in name]
    for part in ("encoder.layers.3.", "decoder.layers.0.encoder_attn.", "embed_tokens"):
        assert any(part in name for name in moved), part


def test_a_killed_run_goes_on_and_ends_where_it_would_have(
    store: Store, whisper: Path, tmp_path: Path
):
    quiet = {"say": lambda _: None, **keywords(whisper)}
    whole = train(store, tmp_path / "whole", recipe=small(), **quiet)
    first = build_trainer(store, tmp_path / "killed" / "checkpoints", recipe=small(), **quiet)
    first.add_callback(_StopAfter(4))  # after the checkpoint at 3: step 4 is lost
    first.train()
    lines: list[str] = []
    resumed = train(store, tmp_path / "killed", recipe=small(), **{**quiet, "say": lines.append})
    assert "goes on from step 3 of 6" in lines
    one, two = (load_file(path / "model.safetensors") for path in (whole, resumed))
    for name, value in one.items():
        assert torch.allclose(value.float(), two[name].float(), atol=2e-3), name


def _StopAfter(step: int) -> object:  # noqa: N802 (makes a callback)
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):  # noqa: ANN001, ANN003, ANN202, ARG002
            if state.global_step >= step:
                control.should_training_stop = True
                control.should_save = False

    return Stop()


def test_the_original_recipe_is_a_plain_trainer_on_padded_clips(
    store: Store, whisper: Path, tmp_path: Path
):
    seed = RECIPES["seed"]
    assert (seed.learning_rate, seed.steps, seed.warm_up) == (3e-5, 9_000, 0.1)
    assert (seed.batch_size, seed.accumulation, seed.half_precision) == (2, 4, "fp16")
    exported = train(
        store,
        tmp_path,
        recipe=replace(seed, steps=2, eval_steps=1, accumulation=2),
        say=lambda _: None,
        **keywords(whisper),
    )
    config = json.loads((exported / "config.json").read_text())
    assert config["langidd"]["context"] == "padded"
    assert list(config["id2label"].values()) == LANGUAGES
    log = json.loads((tmp_path / "log.json").read_text())
    assert [row["step"] for row in log if "eval_accuracy" in row] == [1, 2]
    assert AutoModelForAudioClassification.from_pretrained(exported).config.num_labels == 3
    assert load_engine(str(exported), precision="f32").context == "padded"


def test_a_smaller_model_is_distilled_from_a_larger_whisper(
    store: Store, whisper: Path, tmp_path: Path
):
    """Start and teacher are named apart, and need not be of one size."""
    teacher = write_tiny_whisper(tmp_path / "larger", d_model=64, mels=128)
    own = Store(store.directory)
    ask_teacher(own, str(teacher), every_clip=True)
    preset = RECIPES["small"]
    assert (preset.encoder_layers, preset.decoder_layers) == (2, 1)
    exported = train(
        own,
        tmp_path / "run",
        recipe=replace(preset, steps=2, eval_steps=2, sampling=small().sampling),
        say=lambda _: None,
        **keywords(whisper),
    )
    network = open_network(str(exported))
    assert len(network.model.encoder.layers) == 2
    assert languages_of(network) == LABELS
    larger = train(
        own, tmp_path / "two", recipe=small(steps=2, eval_steps=2), say=lambda _: None,
        **keywords(teacher),
    )  # fmt: skip
    assert load_engine(str(larger), precision="f32").logits(
        [np.zeros(16_000, np.float32)]
    ).shape == (1, 5)
    ask_teacher(own, str(whisper), every_clip=True)


def test_optuna_looks_for_the_best_numbers(store: Store, whisper: Path, tmp_path: Path):
    from langidd_training.fit.search import search

    trainer = build_trainer(
        store, tmp_path / "search", recipe=small(steps=2, eval_steps=2), say=lambda _: None,
        **keywords(whisper),
    )  # fmt: skip
    found = search(trainer, 2, tmp_path / "search.json")
    assert 5e-6 <= found["learning_rate"] <= 5e-4
    assert 0.0 <= found["objective"] <= 1.0
    assert json.loads((tmp_path / "search.json").read_text()) == found


def test_two_processes_share_the_batches(store: Store, whisper: Path, tmp_path: Path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from langidd_training.fit.batches import Sampling\n"
        "from langidd_training.fit.presets import recipe\n"
        "from langidd_training.data.store import Store\n"
        "from langidd_training.fit.train import train\n"
        "torch.set_num_threads(1)\n"
        "store, whisper, out = sys.argv[1:]\n"
        "sampling = Sampling(contexts_s=(1.0, 1.5), shares={}, share=1)\n"
        "chosen = recipe('default', steps=3, eval_steps=3, sampling=sampling)\n"
        "train(Store(Path(store)), Path(out), checkpoint=whisper,"
        " languages=['uz', 'ru', 'en'], recipe=chosen, workers=0)\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script), str(store.directory), str(whisper)),
            str(tmp_path / "out"),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


def test_an_average_lies_between_its_parts_and_may_hold_the_start(whisper: Path, tmp_path: Path):
    start = open_network(str(whisper), LANGUAGES)
    torch.manual_seed(1)
    moved = {name: value + 0.1 * torch.randn_like(value) for name, value in
             start.state_dict().items()}  # fmt: skip
    moved["proj_out.weight"] = moved["model.decoder.embed_tokens.weight"]
    run = export(start.config, moved, tmp_path / "run")
    mixed = average({str(run): 3, str(whisper): 1}, tmp_path / "mixed", languages=LANGUAGES)
    found = load_file(mixed / "model.safetensors")
    for name, value in start.state_dict().items():
        if name in found:
            wanted = 0.75 * moved[name] + 0.25 * value
            assert torch.allclose(found[name].float(), wanted, atol=3e-3), name

    other = write_tiny_whisper(tmp_path / "wide", d_model=64)
    with pytest.raises(ConfigError, match="not of the same kind"):
        average({str(run): 1, str(other): 1}, tmp_path / "none")


@pytest.mark.parametrize("run", ["short:much", "short:0", "short:-1", "short:nan", "short:inf"])
def test_average_names_a_weight_that_is_none(run: str):
    result = CliRunner().invoke(app, ["average", "x", "--run", run])
    assert "is no weight; write NAME or NAME:3" in result.stderr


def test_average_does_not_guess_what_a_run_named_twice_means():
    result = CliRunner().invoke(app, ["average", "x", "--run", "short", "--run", "short:3"])
    assert "named twice" in result.stderr


def test_a_language_without_a_token_begins_as_the_mean_of_all(whisper: Path):
    network = open_network(str(whisper), ["kaa", "ru"])
    assert languages_of(network)[:2] == ("kaa", "ru")
    embeddings = network.model.decoder.embed_tokens.weight
    others = open_network(str(whisper)).model.decoder.embed_tokens.weight[1:]
    torch.testing.assert_close(embeddings[1], others.mean(dim=0))


def test_what_a_recipe_cannot_start_from_is_named(store: Store, stock_model: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="without a decoder"):
        open_network(str(stock_model))
    bare = Store(store.directory)
    bare.directory = tmp_path
    with pytest.raises(ConfigError, match=r"(teach|answer)"):
        build_trainer(
            bare, tmp_path / "run", checkpoint=str(write_tiny_whisper(tmp_path / "w")),
            languages=LANGUAGES, recipe=small(teacher_share=0.5),
        )  # fmt: skip


def test_an_unknown_recipe_and_a_missing_store_say_what_there_is(tmp_path: Path):
    with pytest.raises(ConfigError, match="default, small, seed"):
        recipe("best")
    with pytest.raises(ConfigError, match="prepare"):
        Store(tmp_path)
