"""Threads that hang are abandoned, counted, and do not pile up."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.base import SourceCounts
from langidd.audio.reader import MOST_HANGING, Reader
from langidd.errors import SourceError
from langidd.types import Chunk

if TYPE_CHECKING:
    from langidd.audio.thread_queue import ThreadQueue


def chunk(number: int) -> Chunk:
    return Chunk(np.full(1_600, number, dtype=np.float32), float(number))


async def test_a_hanging_reader_is_abandoned_and_no_more_than_a_few():
    counts = SourceCounts()
    reader = Reader("cam", counts)
    release = threading.Event()
    started = []

    def hang(_: ThreadQueue[Chunk]) -> None:
        started.append(threading.current_thread())
        release.wait()

    for number in range(1, MOST_HANGING + 1):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(reader.chunks(hang, capacity=4, drops=True))
        assert (counts.hanging, counts.abandoned) == (number, number)
    with pytest.raises(SourceError, match="cam: 4 readers hang"):
        await anext(reader.chunks(hang, capacity=4, drops=True))
    assert len(started) == MOST_HANGING

    release.set()
    for thread in started:
        thread.join(timeout=10)
    assert reader.hanging() == 0

    def once(queue: ThreadQueue[Chunk]) -> None:
        queue.put(chunk(1))

    assert [got.captured_at async for got in reader.chunks(once, capacity=4, drops=True)] == [1.0]


async def test_a_live_source_drops_the_oldest_and_says_so():
    counts = SourceCounts()
    away, full = threading.Event(), threading.Event()

    def read(queue: ThreadQueue[Chunk]) -> None:
        away.wait(10)
        for number in range(10):
            queue.put(chunk(number))
        full.set()

    chunks = Reader("cam", counts).chunks(read, capacity=4, drops=True)
    # The first step starts the thread; the loop stays away while the thread puts.
    first = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    away.set()
    assert full.wait(10)
    got = [await first] + [more async for more in chunks]
    assert [int(one.captured_at) for one in got] == [6, 7, 8, 9]
    assert [one.gap for one in got] == [True, False, False, False]
    assert counts.dropped == 6


async def test_any_other_source_waits_for_the_listener():
    counts = SourceCounts()
    put = []

    def read(queue: ThreadQueue[Chunk]) -> None:
        for number in range(50):
            queue.put(chunk(number))
            put.append(number)

    chunks = Reader("file", counts).chunks(read, capacity=4, drops=False)
    got = []
    async for one in chunks:
        got.append(int(one.captured_at))
        # One may be in the listener's hand, four in the queue, one on its way there.
        assert len(put) <= len(got) + 6
    assert got == list(range(50))
    assert counts.dropped == 0


async def test_an_unexpected_failure_is_one_line_without_its_text():
    def read(_: ThreadQueue[Chunk]) -> None:
        raise RuntimeError("rtsp://admin:secret@camera/\nsecond line")

    with pytest.raises(SourceError) as caught:
        await anext(Reader("cam", SourceCounts()).chunks(read, capacity=4, drops=True))
    assert str(caught.value) == "cam: the reader failed unexpectedly (RuntimeError)"
    assert caught.value.__cause__ is None


async def test_what_was_read_before_an_error_is_given_first():
    def read(queue: ThreadQueue[Chunk]) -> None:
        queue.put(chunk(1))
        raise SourceError("gone")

    chunks = Reader("cam", SourceCounts()).chunks(read, capacity=4, drops=True)
    assert (await anext(chunks)).captured_at == 1.0
    with pytest.raises(SourceError, match="gone"):
        await anext(chunks)
