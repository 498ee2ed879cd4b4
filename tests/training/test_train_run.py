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
from transformers import AutoModelForAudioClassification
from typer.testing import CliRunner

from langidd.errors import ConfigError
from langidd.model.whisper.torch_engine import load_classifier
from langidd_training.cli import app
from langidd_training.data.store import Store
from langidd_training.fit.average import average
from langidd_training.fit.batches import Sampling
from langidd_training.fit.presets import RECIPES, recipe
from langidd_training.fit.teacher import ask_teacher
from langidd_training.fit.train import build_trainer, train
from tests.support.prepared_speech import LANGUAGES, prepare_few
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def store(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare_few(speech, tmp_path_factory.mktemp("store"))


def small(**changes: object) -> object:
    sampling = Sampling(lengths_s=(0.8, 2.0), length_weights=(0.5, 0.5), seconds=4.0, padded=0.1)
    settings = {"steps": 6, "eval_steps": 3, "sampling": sampling, "layers": 1, **changes}
    return recipe("default", **{"frozen_layers": 0, **settings})


def test_one_run_from_recordings_to_a_checkpoint_that_langidd_opens(
    store: Store, whisper: Path, tmp_path: Path
):
    ask_teacher(store, str(whisper))
    packaged = train(
        store,
        tmp_path,
        checkpoint=str(whisper),
        languages=LANGUAGES,
        recipe=small(teacher_weight=1.0),
        workers=0,
    )
    config = json.loads((packaged / "config.json").read_text())
    assert config["architectures"] == ["WhisperForAudioClassification"]
    assert config["encoder_layers"] == 1
    assert config["langidd"]["context"] == "trimmed"
    assert config["langidd"]["unknown_labels"] == ["other"]

    stock, told = AutoModelForAudioClassification.from_pretrained(
        packaged, output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert [stock.config.id2label[index] for index in range(4)] == [*LANGUAGES, "other"]
    assert {value.dtype for value in stock.state_dict().values()} == {torch.float16}

    classifier = load_classifier(str(packaged))
    assert classifier.context == "trimmed"
    scores = classifier.logits([store.samples(store.clips[0])[:16_000]])
    assert scores.shape == (1, 4)
    assert np.isfinite(scores).all()
    checks = [
        row for row in json.loads((tmp_path / "log.json").read_text()) if "eval_1s_macro" in row
    ]
    assert len(checks) == 2


def test_a_killed_run_goes_on_and_ends_where_it_would_have(
    store: Store, whisper: Path, tmp_path: Path
):
    keywords = {"checkpoint": str(whisper), "languages": LANGUAGES, "workers": 0}
    whole = train(store, tmp_path / "whole", recipe=small(dropout=0.0), **keywords)

    first = build_trainer(
        store, tmp_path / "killed" / "checkpoints", recipe=small(dropout=0.0), **keywords
    )
    first.add_callback(_StopAfter(4))  # after the checkpoint at 3: step 4 is lost
    first.train()
    resumed = train(store, tmp_path / "killed", recipe=small(dropout=0.0), **keywords)

    one, two = (
        AutoModelForAudioClassification.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (whole, resumed)
    )
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-3), name


def _StopAfter(step: int) -> object:  # noqa: N802 (makes a callback)
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):  # noqa: ANN001, ANN003, ANN202, ARG002
            control.should_training_stop = state.global_step >= step
            control.should_save = False

    return Stop()


def test_the_original_recipe_is_a_plain_trainer_on_padded_clips(
    store: Store, whisper: Path, tmp_path: Path
):
    seed = RECIPES["seed"]
    assert (seed.top_lr, seed.steps, seed.warm_up) == (3e-5, 9_000, 0.1)
    assert (seed.clips_per_batch, seed.accumulation, seed.best_by) == (2, 4, "accuracy")
    packaged = train(
        store,
        tmp_path,
        checkpoint=str(whisper),
        languages=LANGUAGES,
        recipe=replace(seed, steps=2, eval_steps=1, accumulation=2),
        workers=0,
    )
    config = json.loads((packaged / "config.json").read_text())
    assert config["langidd"]["context"] == "padded"
    assert list(config["id2label"].values()) == LANGUAGES
    log = json.loads((tmp_path / "log.json").read_text())
    assert [row["step"] for row in log if "eval_accuracy" in row] == [1, 2]


def test_optuna_looks_for_the_best_numbers(store: Store, whisper: Path, tmp_path: Path):
    from langidd_training.fit.search import search

    trainer = build_trainer(
        store,
        tmp_path / "search",
        checkpoint=str(whisper),
        languages=LANGUAGES,
        recipe=small(steps=2, eval_steps=2),
        workers=0,
    )
    found = search(trainer, 2, tmp_path / "search.json")
    assert 2e-5 <= found["learning_rate"] <= 5e-4
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
        "sampling = Sampling(lengths_s=(0.8,), length_weights=(1.0,), seconds=4.0, padded=0.0)\n"
        "chosen = recipe('default', steps=3, eval_steps=3, sampling=sampling, layers=1,"
        " frozen_layers=0)\n"
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


def test_the_average_of_two_runs_lies_in_their_middle(store: Store, whisper: Path, tmp_path: Path):
    keywords = {"checkpoint": str(whisper), "languages": LANGUAGES}
    plain = small(balanced=False, finer_weight=0.2)
    for name, steps, seed in (("short", 3, 1), ("long", 6, 2)):
        train(
            *(store, tmp_path / name),
            recipe=replace(plain, steps=steps),
            seed=seed,
            start_seed=1,
            workers=0,
            **keywords,
        )
    runs = [tmp_path / "short", tmp_path / "long"]
    packaged = [
        average(store, dict(zip(runs, weights, strict=True)), out, recipe=plain, **keywords)
        for weights, out in (((1, 1), tmp_path / "both"), ((1, 3), tmp_path / "nearer"))
    ]
    one, two, middle, nearer = (
        AutoModelForAudioClassification.from_pretrained(path, dtype=torch.float32).state_dict()
        for path in (*(run / "model" for run in runs), *packaged)
    )
    assert any(not torch.equal(one[name], two[name]) for name in one)
    for name in one:
        for found, share in ((middle, 0.5), (nearer, 0.75)):
            wanted = (1 - share) * one[name] + share * two[name]
            assert torch.allclose(found[name], wanted, atol=2e-3), name

    with pytest.raises(ConfigError, match="nowhere: no checkpoint"):
        average(store, {tmp_path / "nowhere": 1}, tmp_path / "none", recipe=plain, **keywords)
    with pytest.raises(ConfigError, match="not of the same kind"):
        average(
            *(store, dict.fromkeys(runs, 1), tmp_path / "none"),
            recipe=replace(plain, finer_weight=0),
            **keywords,
        )


@pytest.mark.parametrize("run", ["short", "short:3"])
def test_average_looks_for_the_run_that_is_named_before_the_weight(
    run: str, store: Store, whisper: Path, tmp_path: Path
):
    given = ["--data", str(store.directory), "--runs", str(tmp_path), "--checkpoint", str(whisper)]
    result = CliRunner().invoke(app, ["average", "x", "--run", run, *given])
    assert f"{tmp_path / 'short'}: no checkpoint" in result.stderr


@pytest.mark.parametrize("run", ["short:much", "short:0", "short:-1", "short:nan", "short:inf"])
def test_average_names_a_weight_that_is_none(run: str, store: Store):
    result = CliRunner().invoke(app, ["average", "x", "--run", run, "--data", str(store.directory)])
    assert "is no weight; write NAME or NAME:3" in result.stderr


def test_average_does_not_guess_what_a_run_named_twice_means(store: Store):
    given = ["--run", "short", "--run", "short:3", "--data", str(store.directory)]
    result = CliRunner().invoke(app, ["average", "x", *given])
    assert "named twice" in result.stderr


def test_a_dev_split_of_half_seconds_balances_the_classes_too(
    store: Store, whisper: Path, tmp_path: Path
):
    short = Store(store.directory)
    short.clips = [
        replace(clip, samples=8_000, speaker=str(number)) if clip.split == "dev" else clip
        for number, clip in enumerate(store.clips)
    ]
    weights = {}
    for balanced in (False, True):
        trainer = build_trainer(
            *(short, tmp_path / str(balanced)),
            checkpoint=str(whisper),
            languages=LANGUAGES,
            recipe=small(balanced=balanced, other_prior=1.0),
        )
        weights[balanced] = trainer.shipped_weights()
    moved = weights[True]["classifier.bias"] - weights[False]["classifier.bias"]
    assert torch.isfinite(moved).all()
    assert moved.abs().max() > 1e-3


def test_an_unknown_recipe_and_a_missing_store_say_what_there_is(tmp_path: Path):
    with pytest.raises(ConfigError, match="default, teacher, seed"):
        recipe("best")
    with pytest.raises(ConfigError, match="prepare"):
        Store(tmp_path)
