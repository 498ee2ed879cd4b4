"""Raw samples through a pipe."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.stdin import StdinSource
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.errors import SourceError
from tests.support.threads import ended

if TYPE_CHECKING:
    from langidd.types import Health


async def through_pipe(data: bytes, pieces: int = 4_097, **settings: float):
    out, into = os.pipe()

    def write() -> None:
        with os.fdopen(into, "wb") as pipe:
            for at in range(0, len(data), pieces):
                pipe.write(data[at : at + pieces])
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    source = StdinSource("pipe", descriptor=out, **settings)
    try:
        return source, [chunk async for chunk in source.chunks()]
    finally:
        writer.join()
        os.close(out)


def noise(samples: int, channels: int = 1):
    sound = np.random.default_rng(1).integers(-20_000, 20_000, (samples, channels))
    return sound.astype("<i2")


async def test_samples_come_out_as_they_went_in_whatever_the_pieces():
    sound = noise(20_001)
    source, chunks = await through_pipe(sound.tobytes(), pieces=333)
    out = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_array_equal(out, sound[:, 0].astype(np.float32) / 32_768)
    assert source.counts.damaged == 0
    assert not source.live


async def test_times_are_those_of_the_clock_and_then_of_the_samples():
    before = time.time()
    _, chunks = await through_pipe(noise(8_000).tobytes())
    assert before - 0.5 <= chunks[0].captured_at <= time.time()
    for one, other in itertools.pairwise(chunks):
        assert not other.gap
        assert other.captured_at == pytest.approx(one.ends_at, abs=0.01)


async def test_after_a_silence_the_times_are_those_of_the_clock_again():
    out, into = os.pipe()
    source = StdinSource("pipe", descriptor=out, stall_s=0.1)
    chunks = source.chunks()
    os.write(into, noise(1_600).tobytes())
    first = await anext(chunks)
    second = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0.6)
    assert not second.done()
    os.write(into, noise(1_600).tobytes())
    later = await second
    assert later.gap
    assert later.captured_at - first.ends_at >= 0.4
    assert later.ends_at <= time.time() + 0.01
    os.close(into)
    assert [chunk async for chunk in chunks] == []
    os.close(out)


async def test_a_silent_pipe_is_stalled_and_lives_again_and_ends():
    out, into = os.pipe()
    health: list[Health] = []
    stalled = asyncio.Event()

    def entered(state: Health) -> None:
        health.append(state)
        if state.state == "stalled":
            stalled.set()

    source = SupervisedSource(
        "pipe",
        lambda: StdinSource("pipe", descriptor=out),
        entered,
        timeouts=SourceTimeouts(stall_s=0.1, connect_s=0.1),
    )
    chunks = source.chunks()
    for _ in range(2):
        waiting = asyncio.ensure_future(anext(chunks))
        async with asyncio.timeout(10):
            await stalled.wait()
        stalled.clear()
        os.write(into, noise(1_600).tobytes())
        await waiting
        assert source.health.state == "live"
    os.close(into)
    assert [chunk async for chunk in chunks] == []
    states = [one.state for one in health]
    assert states[:5] == ["connecting", "stalled", "live", "stalled", "live"]
    assert states[-1] == "ended"
    os.close(out)


async def test_leaving_a_silent_pipe_leaves_no_thread_behind():
    out, into = os.pipe()
    source = StdinSource("pipe", descriptor=out)
    for _ in range(6):  # more often than threads may hang
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(source.chunks())
    assert await ended("source pipe")
    os.close(into)
    os.close(out)


async def test_another_rate_and_channels_are_brought_to_16_khz_mono():
    sound = noise(44_100, channels=2)
    _, chunks = await through_pipe(sound.tobytes(), rate=44_100, channels=2)
    assert sum(len(chunk.samples) for chunk in chunks) == pytest.approx(16_000, abs=1)


async def test_half_a_sample_at_the_end_is_left_out_and_counted():
    source, chunks = await through_pipe(noise(1_000).tobytes() + b"x")
    assert sum(len(chunk.samples) for chunk in chunks) == 1_000
    assert source.counts.damaged == 1


async def test_an_empty_pipe_and_a_terminal_are_errors():
    with pytest.raises(SourceError, match="ended before any sound"):
        await through_pipe(b"")
    master, terminal = os.openpty()
    try:
        with pytest.raises(SourceError, match="is a terminal; give it sound"):
            await anext(StdinSource("x", descriptor=terminal).chunks())
    finally:
        os.close(master)
        os.close(terminal)
