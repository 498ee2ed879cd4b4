"""Pipes with a name, and those that a shell opens: writers that come, fall silent and go."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.fifo import FifoSource
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.errors import SourceError
from langidd.retry import RetryPolicy
from tests.support.threads import ended

if TYPE_CHECKING:
    from langidd.types import Chunk, Health


def recording(seconds: float) -> bytes:
    """A WAV of noise."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        sound = np.random.default_rng(1).integers(-20_000, 20_000, round(seconds * 48_000))
        file.writeframes(sound.astype("<i2").tobytes())
    return data.getvalue()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "radio.fifo"
    os.mkfifo(path)
    return path


class Watcher:
    """Listens to a supervised pipe, and waits for its states."""

    def __init__(self, path: Path, stall_s: float = 5.0, connect_s: float = 5.0) -> None:
        self.health: list[Health] = []
        self.chunks: list[Chunk] = []
        self.changed = asyncio.Event()
        self.pipe = FifoSource("radio", path, stall_s=stall_s)
        self.source = SupervisedSource(
            "radio",
            lambda: self.pipe,
            self._entered,
            timeouts=SourceTimeouts(stall_s=stall_s, connect_s=connect_s),
            retry=RetryPolicy(first_s=0.05, longest_s=0.1),
        )

    def _entered(self, health: Health) -> None:
        self.health.append(health)
        self.changed.set()

    async def run(self) -> None:
        async for chunk in self.source.chunks():
            self.chunks.append(chunk)
            self.changed.set()

    async def until(self, state: str, *, after: int = 0, seconds: float = 0.0) -> int:
        """Wait for that state, and so much sound; returns how many states were seen."""
        async with asyncio.timeout(20):
            while True:
                states = [health.state for health in self.health[after:]]
                if state in states and self.seconds >= seconds:
                    return after + states.index(state) + 1
                self.changed.clear()
                await self.changed.wait()

    @property
    def seconds(self) -> float:
        return sum(len(chunk.samples) for chunk in self.chunks) / 16_000


async def test_it_waits_for_a_writer_and_after_it_for_the_next(fifo: Path):
    watcher = Watcher(fifo, connect_s=0.1)
    listening = asyncio.ensure_future(watcher.run())
    await watcher.until("stalled")
    await asyncio.to_thread(fifo.write_bytes, recording(1.0))
    seen = await watcher.until("waiting")
    assert watcher.seconds == pytest.approx(1.0)
    assert "radio.fifo: the writer has closed it" in watcher.health[seen - 1].detail
    await asyncio.to_thread(fifo.write_bytes, recording(1.0))
    await watcher.until("waiting", after=seen, seconds=2)
    assert [chunk.gap for chunk in watcher.chunks].count(True) == 1
    listening.cancel()
    await asyncio.wait([listening])
    assert await ended("source radio")


async def test_a_writer_that_falls_silent_is_a_stall_and_its_sound_afterwards_is_of_now(fifo: Path):
    watcher = Watcher(fifo, stall_s=0.3)
    listening = asyncio.ensure_future(watcher.run())
    writer = await asyncio.to_thread(fifo.open, "wb", buffering=0)
    data = recording(3.0)
    # FFmpeg looks at the first 64 KiB of a WAV before it gives any of it.
    await asyncio.to_thread(writer.write, data[:96_000])
    seen = await watcher.until("live")
    seen = await watcher.until("stalled", after=seen)
    await asyncio.sleep(1.5)
    began = time.time()
    await asyncio.to_thread(writer.write, data[96_000:])
    await watcher.until("live", after=seen, seconds=2.5)
    (late,) = [chunk for chunk in watcher.chunks if chunk.gap]
    assert abs(late.captured_at - began) < 1
    writer.close()
    listening.cancel()
    await asyncio.wait([listening])


async def test_what_is_no_recording_is_said_and_the_next_writer_waited_for(fifo: Path):
    watcher = Watcher(fifo)
    listening = asyncio.ensure_future(watcher.run())
    await asyncio.to_thread(fifo.write_bytes, b"this is no recording\n" * 500)
    seen = await watcher.until("waiting")
    assert "gives nothing that FFmpeg can read" in watcher.health[seen - 1].detail
    await asyncio.to_thread(fifo.write_bytes, recording(0.5))
    await watcher.until("live", after=seen)
    listening.cancel()
    await asyncio.wait([listening])


async def test_leaving_it_leaves_no_thread_behind(fifo: Path):
    source = FifoSource("radio", fifo)
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(source.chunks())
    assert await ended("source radio")


async def test_a_pipe_without_a_name_has_one_writer_and_then_ends():
    out, into = os.pipe()
    path = f"/dev/fd/{out}"
    data = recording(1.0)

    def write() -> None:
        with os.fdopen(into, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    watcher = Watcher(Path(path))
    async with asyncio.timeout(20):
        await watcher.run()
    writer.join()
    os.close(out)
    assert watcher.seconds == pytest.approx(1.0)
    assert [health.state for health in watcher.health] == ["connecting", "live", "ended"]


async def test_one_that_was_removed_is_an_error_of_one_line(fifo: Path):
    source = FifoSource("radio", fifo)
    await asyncio.to_thread(fifo.unlink)
    with pytest.raises(SourceError, match=r"radio\.fifo: cannot be opened: no such file"):
        await anext(source.chunks())
