"""What a batch holds: drawn by share, the same for the same seed, from where in the passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from langidd_training.augment.augment import Augmentation
from langidd_training.data.codes import row_of
from langidd_training.data.store import Store, StoredClip, write_table
from langidd_training.fit.batches import Batches, PassageDraw, Sampling, group_of
from langidd_training.fit.targets import make_targets
from tests.support.prepared_speech import prepare_few

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("uz", "ru", "en", "kk", "tr", "no", "zh")
PLAIN = Augmentation(clean=1.0, speed=0.0, gain_db=(-1.0, -1.0))


@pytest.fixture(scope="module")
def store(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare_few(speech, tmp_path_factory.mktemp("store"))


def made(store: Store, sampling: Sampling, seed: int, **options: object) -> Batches:
    passages = store.passages("train")
    targets = np.eye(len(passages), dtype=np.float32)
    return Batches(
        *(store, passages, targets, sampling, options.pop("augmentation", Augmentation())),
        length=20,
        seed=seed,
        **options,
    )


def test_batches_are_the_same_for_the_same_seed_and_hold_what_they_say(store: Store):
    sampling = Sampling(shares={"uz": 2, "ru": 1, "en": 1, "turkic": 1, "other": 1})
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    one, two, other = (made(store, sampling, seed, noises=[noise]) for seed in (1, 1, 2))
    lengths = set()
    for index in range(6):
        first, again, different = one[index], two[index], other[index]
        assert torch.equal(first["samples"], again["samples"])
        assert torch.equal(first["targets"], again["targets"])
        assert not torch.equal(first["targets"], different["targets"])
        assert first["samples"].dtype == torch.float32
        assert first["samples"].abs().max() <= 1.01
        lengths.add(first["samples"].shape[1] / 16_000)
    assert lengths <= {1.5, 2.0, 3.0}
    assert len(lengths) > 1


def test_processes_of_one_step_get_windows_of_one_length(store: Store):
    batches = made(store, Sampling(shares={"uz": 1}, share=1), 3, processes=2)
    for index in range(0, 8, 2):
        lengths = {batches[index + rank]["samples"].shape[1] for rank in (0, 1)}
        assert len(lengths) == 1
    assert not torch.equal(batches[0]["targets"], batches[1]["targets"])


def test_a_batch_has_as_many_of_each_language_as_the_recipe_says(store: Store):
    passages = store.passages("train")
    batches = made(store, Sampling(shares={"uz": 3, "ru": 2, "en": 1, "turkic": 1, "other": 1}), 1)
    groups = [group_of(passages[row]) for row in batches[0]["targets"].argmax(dim=1)]
    assert [groups.count(language) for language in ("uz", "ru", "en")] == [3, 2, 1]


def test_a_corpus_of_many_clips_and_few_voices_does_not_drown_one_of_many_voices():
    def clips(corpus: str, voices: int, each: int) -> list[StoredClip]:
        return [
            StoredClip(0, 16_000, "uz", "uz", corpus, f"{corpus}/{voice}", "train", "x")
            for voice in range(voices)
            for _ in range(each)
        ]

    drawn = PassageDraw(
        [*clips("studio", 1, 1_600), *clips("phones", 100, 16), *clips("espeak-ng", 1, 1_600)],
        Sampling(),
    )
    passages = [
        *clips("studio", 1, 1_600),
        *clips("phones", 100, 16),
        *clips("espeak-ng", 1, 1_600),
    ]
    rng = np.random.default_rng(0)
    corpora = [passages[drawn.draw("uz", rng)].corpus for _ in range(3_000)]
    shares = {name: corpora.count(name) / len(corpora) for name in set(corpora)}
    assert shares["phones"] / shares["studio"] == pytest.approx(100**0.25, rel=0.15)
    assert shares["espeak-ng"] / shares["studio"] == pytest.approx(0.3, rel=0.25)


@pytest.mark.parametrize(("onset", "full"), [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_windows_begin_at_onsets_and_are_filled_as_often_as_wanted(
    tmp_path: Path, onset: float, full: float
):
    # Loud where the passage begins, soft after it.
    sound = np.concatenate([np.full(1_600, 20_000), np.full(400_000, 2_000)])
    sound.astype(np.int16).tofile(tmp_path / "audio.i16")
    write_table(
        tmp_path, [StoredClip(0, len(sound), "uz", "uz", "corpus", "voice", "train", "a.ogg")]
    )
    sampling = Sampling(contexts_s=(2.0,), shares={"uz": 64}, onset=onset, full=full)
    samples = made(Store(tmp_path), sampling, 5, augmentation=PLAIN)[0]["samples"]
    begins = samples[:, 0] > 2 * samples[:, 3_200]
    assert begins.float().mean() == pytest.approx(onset, abs=0.05)
    filled = samples[:, -1] != 0
    assert filled.float().mean() == pytest.approx(full, abs=0.05)
    spoken_s = (samples != 0).sum(dim=1) / 16_000
    assert spoken_s.min() >= 0.8


def test_clips_of_one_voice_are_joined_and_those_of_two_are_not(tmp_path: Path):
    clips = [
        StoredClip(offset, samples, "ru", "ru", "words", voice, split, "x")
        for offset, samples, voice, split in (
            (0, 32_000, "a", "train"),
            (32_000, 48_000, "a", "train"),
            (80_000, 64_000, "a", "train"),  # 9 s together: too long
            (144_000, 16_000, "b", "train"),
            (160_000, 16_000, "b", "dev"),
        )
    ]
    np.zeros(176_000, np.int16).tofile(tmp_path / "audio.i16")
    write_table(tmp_path, clips)
    store = Store(tmp_path)
    joined = [(one.offset, one.seconds, one.speaker) for one in store.passages("train")]
    assert joined == [(0, 5.0, "a"), (80_000, 4.0, "a"), (144_000, 1.0, "b")]
    assert len(store.passages("dev")) == 1


def passage(language: str, locale: str) -> StoredClip:
    return StoredClip(0, 16_000, language, locale, "corpus", "voice", "train", "x")


def test_a_target_is_the_label_and_the_teachers_answer_where_there_is_no_token():
    answers = np.full((3, len(LABELS)), np.nan, np.float32)
    answers[2] = (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05)
    targets = make_targets(
        [passage("uz", "uz"), passage("other", "nb"), passage("other", "ky")],
        *(LABELS, answers),
        smoothing=0.07,
        teacher_share=0.0,
        not_taught=("uz",),
    )
    assert targets.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert targets[0] == pytest.approx([0.94, *[0.01] * 6], abs=1e-6)
    assert LABELS[targets[1].argmax()] == "no"
    # Kyrgyz has no token: what the teacher says of it, Uzbek left out.
    assert targets[2] == pytest.approx([0, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1], abs=1e-6)


def test_a_share_of_the_teacher_keeps_what_it_knows_and_leaves_out_what_it_does_not():
    answers = np.tile(np.float32([0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]), (2, 1))
    targets = make_targets(
        [passage("uz", "uz"), passage("ru", "ru")],
        *(LABELS, answers),
        smoothing=0.0,
        teacher_share=0.5,
        not_taught=("uz",),
    )
    assert targets[0] == pytest.approx([1, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert targets[1] == pytest.approx([0, 0.6, 0.1, 0.1, 0.1, 0.05, 0.05], abs=1e-6)


def test_codes_of_corpora_find_whispers_tokens():
    assert [row_of(code, LABELS) for code in ("nb", "yue", "kk", "ky")] == [5, 6, 3, None]
    assert row_of("yue", (*LABELS, "yue")) == 7
