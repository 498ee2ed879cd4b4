"""What a batch holds: drawn by share, the same for the same seed, from where in the clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from langidd_training.augment.augment import Augmentation
from langidd_training.data.store import Store, StoredClip, write_table
from langidd_training.fit.batches import Batches, Drawer, Sampling
from langidd_training.fit.features import log_mel
from langidd_training.fit.presets import RECIPES
from tests.support.prepared_speech import LANGUAGES, prepare_few

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare_few(speech, tmp_path_factory.mktemp("store"))


def test_batches_are_the_same_for_the_same_seed_and_hold_what_they_say(store: Store):
    clips = [clip for clip in store.clips if clip.split == "train"]
    labels = [*LANGUAGES, "other"]
    chosen = Sampling(lengths_s=(1.0, 3.0), length_weights=(0.5, 0.5), seconds=6.0, padded=0.3)
    made = [
        Batches(store, clips, labels, chosen, RECIPES["default"].augmentation, length=20, seed=seed)
        for seed in (1, 1, 2)
    ]
    frames = set()
    for index in range(8):
        one, two, other = (batches[index] for batches in made)
        assert torch.equal(one["input_features"], two["input_features"])
        assert not (
            one["input_features"].shape == other["input_features"].shape
            and torch.equal(one["input_features"], other["input_features"])
        )
        assert one["input_features"].shape[:2] == (len(one["labels"]), 80)
        frames.add(one["input_features"].shape[2])
    assert frames <= {100, 300, 3000}
    assert len(frames) > 1


def test_every_class_gets_its_share_whatever_its_corpora_hold(store: Store):
    clips = [clip for clip in store.clips if clip.split == "train"]
    weights = {"uz": 0.4, "ru": 0.3, "en": 0.2, "other": 0.1}
    drawer = Drawer(clips, Sampling(language_weights=weights))
    rng = np.random.default_rng(0)
    drawn = [drawer.clips(16_000, rng)[0].language for _ in range(2_000)]
    for language, weight in weights.items():
        assert drawn.count(language) / len(drawn) == pytest.approx(weight, abs=0.05)
    for joined in (drawer.clips(160_000, rng) for _ in range(50)):
        assert len({clip.speaker for clip in joined}) == 1


@pytest.mark.parametrize(("onset", "ending"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 0.1)])
def test_as_many_windows_as_wanted_begin_and_end_with_a_clip(
    tmp_path: Path, onset: float, ending: float
):
    # A low tone where the clip begins, a middle one where it ends, a high one between.
    second = np.arange(16_000) / 16_000
    low, middle, high = (np.sin(2 * np.pi * hertz * second) for hertz in (400, 1_500, 4_000))
    sound = np.concatenate([low[:4_000], *[high] * 30, middle[:4_000]])
    (sound * 20_000).astype(np.int16).tofile(tmp_path / "audio.i16")
    write_table(
        tmp_path, [StoredClip(0, len(sound), "uz", "uz", "corpus", "voice", "train", "a.ogg")]
    )
    store = Store(tmp_path)
    sampling = Sampling(
        lengths_s=(1.0,), length_weights=(1.0,), padded=0, seconds=100, onset=onset, ending=ending
    )
    untouched = Augmentation(clean=1.0, speed=0.0)
    batches = Batches(
        store, store.clips, ["uz"], sampling, untouched, length=4, seed=5, spec_augment=0
    )
    loudest = torch.cat([batches[index]["input_features"] for index in range(4)]).argmax(dim=1)
    tones = [
        torch.from_numpy(loudest_bin).median()
        for loudest_bin in log_mel(torch.from_numpy(np.stack([low, middle, high])).float())
        .argmax(dim=1)
        .numpy()
    ]
    begins = (loudest[:, 2] - tones[0]).abs() <= 1
    ends = (loudest[:, -3] - tones[1]).abs() <= 1
    assert begins.float().mean() == pytest.approx(onset, abs=0.07)
    assert ends.float().mean() == pytest.approx(ending, abs=0.07)
