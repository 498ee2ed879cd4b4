"""Windows that overlap get the log-mel that each would get by itself, for less work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.model.whisper import overlap
from langidd.model.whisper.log_mel import log_mel
from langidd.model.whisper.overlap import OverlappingLogMel

if TYPE_CHECKING:
    import numpy.typing as npt

START_S = 1_700_000_000.0
MELS = 80


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames were computed, call by call."""
    counts: list[int] = []
    original = overlap.inner_log_powers

    def counted(samples: npt.NDArray[np.float32], mels: int) -> npt.NDArray[np.float32]:
        found = original(samples, mels)
        counts.append(found.shape[-1])
        return found

    monkeypatch.setattr(overlap, "inner_log_powers", counted)
    return counts


def _windows(
    sound: npt.NDArray[np.float32], spans: list[tuple[int, int]]
) -> list[tuple[npt.NDArray[np.float32], float]]:
    return [(sound[first:stop], START_S + stop / 16_000) for first, stop in spans]


def test_a_segments_windows_are_exact_and_cheap(
    conversation: npt.NDArray[np.float32], computed: list[int]
) -> None:
    # A segment's first window, two that grow, then 2 s every 0.5 s.
    ends = range(16_000, 160_001, 8_000)
    spans = [(max(0, end - 32_000), end) for end in ends]
    shared = OverlappingLogMel(MELS)
    for samples, end_s in _windows(conversation, spans):
        ours = shared.log_mel(samples, "hall", end_s)
        np.testing.assert_allclose(ours, log_mel(samples[None], MELS)[0], atol=1e-5)
    alone = sum((stop - first) // 160 for first, stop in spans)
    assert sum(computed) < alone / 3


@settings(max_examples=60, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 40_000), st.integers(10, 120)), min_size=2, max_size=6)
)
def test_any_windows_in_any_order_are_exact(spans: list[tuple[int, int]]) -> None:
    sound = np.random.default_rng(0).standard_normal(80_000).astype(np.float32)
    shared = OverlappingLogMel(MELS)
    for first, positions in spans:
        stop = first + 320 * positions
        samples = sound[first:stop]
        ours = shared.log_mel(samples, "hall", START_S + stop / 16_000)
        np.testing.assert_allclose(ours, log_mel(samples[None], MELS)[0], atol=1e-5)


def test_times_that_lie_do_no_harm(conversation: npt.NDArray[np.float32]) -> None:
    shared = OverlappingLogMel(MELS)
    shared.log_mel(conversation[:32_000], "hall", START_S)
    other = conversation[100_000:132_000]
    ours = shared.log_mel(other, "hall", START_S + 0.5)
    np.testing.assert_array_equal(ours, log_mel(other[None], MELS)[0])


def test_sources_do_not_mix_and_are_bounded(
    conversation: npt.NDArray[np.float32], computed: list[int]
) -> None:
    shared = OverlappingLogMel(MELS, sources=2)
    window, later = conversation[:32_000], conversation[8_000:40_000]
    for source in ("hall", "yard", "gate"):
        shared.log_mel(window, source, START_S)
    computed.clear()
    shared.log_mel(later, "yard", START_S + 0.5)
    assert sum(computed) < 60
    computed.clear()
    shared.log_mel(later, "hall", START_S + 0.5)
    assert sum(computed) == 200, "the source was forgotten"
