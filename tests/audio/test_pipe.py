"""Pipes: what is read, and the capture times of what live writers and recordings send."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.base import SourceCounts
from langidd.audio.capture_clock import CaptureClock
from langidd.audio.pipe import Pipe, PipeChunks

if TYPE_CHECKING:
    from langidd.types import Chunk

EPOCH = 1_700_000_000.0
PIECE_S = 0.05


class Writer:
    """A pipe with a clock of its own: pieces of sound that come when the test says."""

    def __init__(self, stall_s: float = 10.0) -> None:
        self.now = 100.0
        self.waited_s = 0.0
        self.counts = SourceCounts()
        self.captured: list[float] = []
        self.chunks: list[Chunk] = []
        clock = CaptureClock(monotonic=lambda: self.now, wall=lambda: EPOCH + self.now)
        self.sound = PipeChunks(self, self.counts, stall_s, clock=clock, monotonic=lambda: self.now)

    def take_wait_s(self) -> float:
        return self.waited_s

    def send(self, captured_at: float, *, waited_s: float = 0.0) -> None:
        """A piece whose first sample was captured then arrives now."""
        self.waited_s = waited_s
        self.captured.append(captured_at)
        self.chunks += self.sound.push(np.zeros(round(PIECE_S * 16_000), dtype=np.float32))

    def speak(self, seconds: float) -> None:
        """Sound that arrives as it is made."""
        for _ in range(round(seconds / PIECE_S)):
            self.now += PIECE_S
            self.send(self.now - PIECE_S, waited_s=PIECE_S)

    def silence(self, seconds: float) -> None:
        """Nothing is made and nothing comes; the sound after it comes as it is made."""
        self.now += seconds + PIECE_S
        self.send(self.now - PIECE_S, waited_s=seconds + PIECE_S)

    def hiccup(self, seconds: float) -> None:
        """Nothing comes; then comes all that was made meanwhile."""
        began = self.now
        self.now += seconds
        for number in range(round(seconds / PIECE_S)):
            self.send(began + number * PIECE_S, waited_s=0.0 if number else seconds)

    def backlog(self, seconds: float) -> None:
        """What lay ready in the pipe before it was opened."""
        for number in range(round(seconds / PIECE_S)):
            self.send(self.now - seconds + number * PIECE_S)

    def errors_s(self) -> list[float]:
        """How far each chunk is dated from when it was captured; later is positive."""
        per_chunk = round(0.1 / PIECE_S)
        truth = self.captured[::per_chunk]
        return [
            chunk.captured_at - EPOCH - at for chunk, at in zip(self.chunks, truth, strict=False)
        ]

    @property
    def gaps(self) -> int:
        return sum(chunk.gap for chunk in self.chunks)


def test_sound_that_is_made_now_is_dated_by_its_arrival():
    writer = Writer()
    writer.speak(60)
    assert max(map(abs, writer.errors_s())) < 0.01
    assert writer.gaps == 0


def test_after_a_silence_sound_is_dated_by_its_arrival_again_with_a_gap():
    writer = Writer()
    writer.speak(5)
    writer.silence(3_600)
    writer.speak(5)
    assert max(map(abs, writer.errors_s())) < 0.01
    assert writer.gaps == 1
    for one, other in itertools.pairwise(writer.chunks):
        assert other.captured_at >= one.ends_at - 1e-6


def test_what_comes_late_all_at_once_keeps_its_time():
    writer = Writer()
    writer.speak(30)
    writer.hiccup(4)
    writer.speak(30)
    assert writer.gaps == 0
    assert max(map(abs, writer.errors_s())) < 0.1


def test_sound_lost_by_the_writer_does_not_leave_the_times_behind_for_long():
    writer = Writer()
    writer.speak(30)
    writer.silence(4)
    writer.speak(40)
    assert writer.gaps == 1
    assert abs(writer.errors_s()[-1]) < 0.1


def test_what_lay_ready_at_the_start_does_not_put_the_times_ahead_for_long():
    writer = Writer()
    writer.backlog(2)
    writer.speak(60)
    assert writer.gaps == 0
    assert abs(writer.errors_s()[-1]) < 0.1


def test_a_recording_has_no_gap_and_no_jump_whatever_the_speed():
    writer = Writer(stall_s=1.0)
    for number in range(12_000):
        writer.now += PIECE_S / 50
        waited_s = 3.0 if number == 6_000 else 0.001 if number % 10 == 0 else 0.0
        writer.now += waited_s
        writer.send(0.0, waited_s=waited_s)
    assert writer.gaps == 0
    assert writer.counts.resyncs == 0
    assert writer.chunks[-1].ends_at - writer.chunks[0].captured_at == pytest.approx(600, abs=1)
    for one, other in itertools.pairwise(writer.chunks[60:]):
        assert other.captured_at == pytest.approx(one.ends_at, abs=1e-6)


def test_a_live_stream_that_began_with_a_burst_is_dated_by_its_arrival_after_a_silence():
    writer = Writer()
    writer.backlog(20)
    writer.speak(30)
    writer.silence(60)
    writer.speak(5)
    assert abs(writer.errors_s()[-1]) < 0.1
    assert writer.gaps == 1


def test_a_slow_reader_is_no_gap():
    writer = Writer()
    writer.speak(1)
    for _ in range(2_400):
        writer.now += PIECE_S * 3  # the model takes three times as long as the sound lasts
        writer.send(0.0)
    assert writer.gaps == 0


@pytest.fixture
def pipe():
    out, into = os.pipe()
    yield out, into
    os.close(out)


def test_a_silent_pipe_is_left_as_soon_as_nobody_reads(pipe: tuple[int, int]):
    closed = threading.Event()
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.append(Pipe(pipe[0], closed.is_set).read(100)))
    reading.start()
    closed.set()
    reading.join(timeout=5)
    assert got == [b""]
    os.close(pipe[1])


def test_it_says_how_long_it_waited_for_the_writer(pipe: tuple[int, int]):
    out, into = pipe

    def write_late() -> bool:
        os.write(into, b"late")
        return False

    reader = Pipe(out, write_late)  # asked only while it waits
    os.write(into, b"ready")
    assert reader.read(100) == b"ready"
    assert reader.take_wait_s() == 0
    assert reader.read(100) == b"late"
    assert reader.take_wait_s() >= 0.05
    assert reader.take_wait_s() == 0
    os.close(into)
    assert reader.read(100) == b""
