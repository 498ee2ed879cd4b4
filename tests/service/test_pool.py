"""The pool, with sources that end in every way."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import pytest

from langidd.config import SourceSettings
from langidd.errors import SourceError
from langidd.service import pool
from langidd.service.pool import SourcePool

if TYPE_CHECKING:
    from pathlib import Path

    from langidd.service.stream import Channel


class Scripted:
    """A stream that ends when it is told to, or only when it is cancelled, or by itself."""

    def __init__(self, *, obeys: bool = True, error: Exception | None = None) -> None:
        self.moved_at: float | None = None
        self.started = asyncio.Event()
        self._obeys = obeys
        self._error = error
        self._told = asyncio.Event()

    async def run(self) -> None:
        self.started.set()
        if self._error is not None:
            raise self._error
        await self._told.wait()

    def end(self) -> None:
        if self._obeys:
            self._told.set()


def pool_of(stream: Scripted) -> SourcePool:
    return SourcePool(lambda _: cast("Channel", stream))


def radio(tmp_path: Path) -> SourceSettings:
    return SourceSettings(name="radio", file=tmp_path)


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_source_that_is_stopped_has_neither_ended_nor_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, obeys: bool
):
    monkeypatch.setattr(pool, "DRAIN_S", 0.05)
    stream = Scripted(obeys=obeys)
    sources = pool_of(stream)
    sources.start(radio(tmp_path))
    await stream.started.wait()

    stopping = asyncio.create_task(sources.stop(sources.entries.values()))
    while not stopping.done():
        assert sources.entries  # one is still there: the daemon goes on
        await asyncio.sleep(0)
        sources.collect()  # as the main loop does whenever a task is done

    assert not sources.entries
    assert (sources.finished, sources.failures) == (0, [])


async def test_a_source_that_cannot_be_read_is_a_failure_and_is_not_restarted(tmp_path: Path):
    sources = pool_of(Scripted(error=SourceError("radio: no audio track")))
    sources.start(radio(tmp_path))
    await asyncio.wait([sources.entries["radio"].task])
    sources.collect()
    assert not sources.entries
    assert [str(error) for error in sources.failures] == ["radio: no audio track"]


async def test_a_stream_that_fails_inside_langidd_is_restarted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    sources = pool_of(Scripted(error=ZeroDivisionError("a fault of ours")))
    sources.start(radio(tmp_path))
    first = sources.entries["radio"].task
    await asyncio.wait([first])
    with caplog.at_level(logging.ERROR):
        sources.collect()
    assert sources.entries["radio"].task is not first
    assert "source radio: failed inside langidd; restarting it in 1 s" in caplog.text
    assert not sources.failures
    await sources.stop(sources.entries.values())


async def test_audio_that_leads_to_nothing_blocks_and_silence_does_not(tmp_path: Path):
    stream = Scripted()
    sources = pool_of(stream)
    sources.start(radio(tmp_path))
    entry = sources.entries["radio"]
    for second in range(10):
        entry.audio_arrived(100.0 + second)
        stream.moved_at = 100.0 + second
    # Then it is silent for an hour, and gives audio again: no backlog from before.
    entry.audio_arrived(3_709.0)
    assert entry.backlog_s() == 0.0
    for second in range(10):
        entry.audio_arrived(3_709.0 + second)
    assert entry.backlog_s() == 9.0
    assert sources.blocked(5.0) == ("source radio: audio has arrived for 9 s without any result")
    assert sources.blocked(10.0) == ""
    stream.moved_at = 3_718.0
    assert sources.blocked(5.0) == ""
    await sources.stop(sources.entries.values())
