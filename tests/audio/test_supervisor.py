"""A source that fails, stalls and comes back, with time and chance in the test's hands."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from langidd.audio.base import SourceCounts
from langidd.audio.supervisor import Patience, SupervisedSource
from langidd.errors import SourceError
from langidd.types import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.types import Health

SOUND = Chunk(np.zeros(1_600, dtype=np.float32), 0.0)
HANG = object()


class Scripted:
    """A source whose connections are written down: chunks, then an error, a hang or the end."""

    def __init__(self, *connections: list[object], live: bool = True) -> None:
        self.name = "cam"
        self.live = live
        self.counts = SourceCounts()
        self.connections = list(connections)
        self.closed = 0
        self.opened = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[Chunk]:
        self.opened.set()
        try:
            for step in self.connections.pop(0):
                if step is HANG:
                    await asyncio.Event().wait()
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed += 1


class Watched:
    """A supervised source whose waits and health are written down."""

    def __init__(
        self,
        source: Scripted | Callable[[], Scripted],
        *,
        uniform: Callable[[float, float], float] = max,
        **settings: Any,
    ) -> None:
        self.health: list[Health] = []
        self.waits: list[float] = []
        self.source = SupervisedSource(
            "cam",
            source if callable(source) else lambda: source,
            self.health.append,
            uniform=uniform,
            sleep=self._sleep,
            **settings,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def listen(self, most: int = 10**6) -> list[Chunk]:
        got = []
        chunks = self.source.chunks()
        async for chunk in chunks:
            got.append(chunk)
            if len(got) == most:
                break
        await chunks.aclose()
        return got

    @property
    def states(self):
        return [health.state for health in self.health]


GONE = SourceError("cam: gone")


async def test_it_is_live_only_once_sound_came():
    watched = Watched(Scripted([GONE], [SOUND, SOUND]))
    await watched.listen(2)
    assert watched.states == ["connecting", "waiting", "connecting", "live"]
    assert watched.health[1].detail == "cam: gone; next try in 1.0 s"
    assert watched.health[-1].reconnects == 1
    assert watched.source.counts.reconnects == 1


async def test_the_first_chunk_after_a_reconnect_has_a_gap_and_no_other():
    watched = Watched(Scripted([SOUND, SOUND, GONE], [GONE], [SOUND, SOUND, GONE], [SOUND]))
    got = await watched.listen(5)
    assert [chunk.gap for chunk in got] == [False, False, True, False, True]


async def test_silence_of_the_library_is_a_stall_whatever_it_says():
    source = Scripted([HANG], [SOUND, HANG], [SOUND])
    watched = Watched(source, patience=Patience(stall_s=0.05, connect_s=0.02))
    await watched.listen(2)
    assert watched.states == [
        *["connecting", "stalled", "waiting"],
        *["connecting", "live", "stalled", "waiting"],
        *["connecting", "live"],
    ]
    assert watched.health[1].detail == "no sound within 0.02 s"
    assert watched.health[5].detail == "no sound for 0.05 s"
    assert source.closed == 3  # each connection was closed before the next


async def test_the_wait_doubles_to_its_most():
    watched = Watched(Scripted(*[[GONE]] * 9, [SOUND]))
    await watched.listen(1)
    assert watched.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_the_wait_is_drawn_between_half_and_all_of_it():
    drawn = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return (low + high) / 2

    watched = Watched(Scripted([GONE], [GONE], [SOUND]), uniform=uniform)
    await watched.listen(1)
    assert drawn == [(0.5, 1), (1, 2)]
    assert watched.waits == [0.75, 1.5]


async def test_only_healthy_sound_resets_the_wait():
    patience = Patience(healthy_s=1.0)
    watched = Watched(
        Scripted([GONE], [GONE], [*[SOUND] * 9, GONE], [*[SOUND] * 10, GONE], [SOUND]),
        patience=patience,
    )
    await watched.listen(20)
    assert watched.waits == [1, 2, 4, 1]


async def test_what_cannot_help_is_tried_again_at_the_longest_wait():
    watched = Watched(Scripted([SourceError("no sound", permanent=True)], [SOUND]))
    await watched.listen(1)
    assert watched.waits == [60]


async def test_a_source_that_cannot_even_be_made_is_tried_again():
    attempts = []

    def make() -> Scripted:
        attempts.append(1)
        if len(attempts) < 3:
            raise SourceError("the password file is missing")
        return Scripted([SOUND])

    watched = Watched(make)
    assert len(await watched.listen(1)) == 1
    assert len(attempts) == 3


async def test_a_file_ends_and_is_not_played_again():
    watched = Watched(Scripted([SOUND, SOUND], live=False))
    assert len(await watched.listen()) == 2
    assert watched.states == ["connecting", "live", "ended"]


async def test_a_file_that_fails_gives_up_where_that_is_wanted():
    watched = Watched(Scripted([SOUND, GONE], live=False), gives_up=True)
    with pytest.raises(SourceError, match="gone"):
        await watched.listen()
    assert watched.states == ["connecting", "live", "ended"]
    assert watched.waits == []


async def test_a_slow_pipe_is_no_stall():
    class Slow(Scripted):
        async def chunks(self) -> AsyncGenerator[Chunk]:
            await asyncio.sleep(0.1)
            yield SOUND

    watched = Watched(Slow(live=False), patience=Patience(stall_s=0.01, connect_s=0.01))
    assert len(await watched.listen()) == 1
    assert "stalled" not in watched.states


async def test_one_reason_is_said_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    watched = Watched(Scripted(*[[GONE]] * 20, [SOUND, SourceError("other")], [GONE], [SOUND]))
    await watched.listen(2)
    assert caplog.text.count("cam: gone") == 2
    assert caplog.text.count("other") == 1
    assert watched.states.count("waiting") == 22


async def test_leaving_closes_the_connection():
    source = Scripted([SOUND, HANG])
    watched = Watched(source)
    await watched.listen(1)
    assert source.closed == 1


async def test_being_cancelled_closes_the_connection():
    source = Scripted([HANG])
    watched = Watched(source)
    task = asyncio.ensure_future(watched.listen())
    await source.opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 1
