"""A source that fails, stalls and comes back, with time and chance in the test's hands."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from langidd.audio.base import SourceCounts
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.errors import SourceError
from langidd.retry import RetryPolicy
from langidd.types import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.audio.base import Recovery
    from langidd.types import Health

SOUND = Chunk(np.zeros(1_600, dtype=np.float32), 0.0)
HANG = object()


class Scripted:
    """A source whose connections are written down: chunks, then an error, a hang or the end."""

    def __init__(
        self, *connections: list[object], live: bool = True, recovery: Recovery = "reconnect"
    ) -> None:
        self.name = "cam"
        self.live = live
        self.recovery = recovery
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
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
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
        random: Callable[[], float] = lambda: 0.0,
        **settings: Any,
    ) -> None:
        self.health: list[Health] = []
        self.waits: list[float] = []
        self.changed = asyncio.Event()
        self.source = SupervisedSource(
            "cam",
            source if callable(source) else lambda: source,
            self._entered,
            random=random,
            sleep=self._sleep,
            **settings,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _entered(self, health: Health) -> None:
        self.health.append(health)
        self.changed.set()

    async def until(self, state: str) -> None:
        """Wait until it is in that state."""
        async with asyncio.timeout(10):
            while self.source.health.state != state:
                self.changed.clear()
                await self.changed.wait()

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
    watched = Watched(source, timeouts=SourceTimeouts(stall_s=0.05, connect_s=0.02))
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
    draws = iter([0.0, 0.5, 1.0])
    watched = Watched(Scripted([GONE], [GONE], [GONE], [SOUND]), random=lambda: next(draws))
    await watched.listen(1)
    assert watched.waits == [1, 1.5, 2]


async def test_the_waits_are_those_of_the_policy():
    retry = RetryPolicy(first_s=0.1, factor=10, longest_s=5)
    watched = Watched(Scripted([GONE], [GONE], [GONE], [SOUND]), retry=retry)
    await watched.listen(1)
    assert watched.waits == [0.1, 1, 5]


async def test_only_steady_sound_resets_the_wait():
    watched = Watched(
        Scripted([GONE], [GONE], [*[SOUND] * 9, GONE], [*[SOUND] * 10, GONE], [SOUND]),
        timeouts=SourceTimeouts(steady_s=1.0),
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
    watched = Watched(Scripted([SOUND, SOUND], live=False, recovery="none"))
    assert len(await watched.listen()) == 2
    assert watched.states == ["connecting", "live", "ended"]


async def test_a_file_that_fails_is_not_tried_again():
    watched = Watched(Scripted([SOUND, GONE], live=False, recovery="none"))
    with pytest.raises(SourceError, match="gone"):
        await watched.listen()
    assert watched.states == ["connecting", "live", "ended"]
    assert watched.waits == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("recovery", ["none", "reopen"])
async def test_what_cannot_be_reconnected_is_stalled_while_silent_and_then_live_again(
    recovery: Recovery, *, live: bool
):
    more = asyncio.Event()
    source = Scripted([SOUND, more, SOUND], live=live, recovery=recovery)
    watched = Watched(source, timeouts=SourceTimeouts(stall_s=0.02, connect_s=5))
    listening = asyncio.ensure_future(watched.listen(2))
    await watched.until("stalled")
    assert watched.source.health.detail == "no sound for 0.02 s; waiting for more"
    assert source.closed == 0  # it goes on waiting in the same connection
    more.set()
    assert [chunk.gap for chunk in await listening] == [False, False]
    assert watched.states == ["connecting", "live", "stalled", "live"]
    assert watched.waits == []


async def test_a_pipe_into_which_nobody_writes_is_stalled_from_the_start():
    more = asyncio.Event()
    watched = Watched(
        Scripted([more, SOUND], live=False, recovery="none"),
        timeouts=SourceTimeouts(stall_s=5, connect_s=0.02),
    )
    listening = asyncio.ensure_future(watched.listen())
    await watched.until("stalled")
    more.set()
    await listening
    assert watched.states == ["connecting", "stalled", "live", "ended"]


async def test_a_pipe_s_end_is_followed_by_the_next_writer_where_it_can_be_opened_again():
    source = Scripted([SOUND, GONE], [SOUND], live=False, recovery="reopen")
    watched = Watched(source)
    assert [chunk.gap for chunk in await watched.listen(2)] == [False, True]
    assert watched.states == ["connecting", "live", "waiting", "connecting", "live"]


@pytest.mark.parametrize("recovery", ["none", "reopen", "reconnect"])
async def test_sound_that_nobody_asks_for_is_no_stall(recovery: Recovery):
    watched = Watched(
        Scripted([SOUND, SOUND], live=False, recovery=recovery),
        timeouts=SourceTimeouts(stall_s=0.01, connect_s=0.01),
    )
    chunks = watched.source.chunks()
    await anext(chunks)
    await asyncio.sleep(0.05)  # a model that is slow
    await anext(chunks)
    await chunks.aclose()
    assert "stalled" not in watched.states


async def test_it_says_when_the_last_sound_came():
    more = asyncio.Event()
    watched = Watched(Scripted([SOUND, more, SOUND]))
    assert watched.source.last_audio_at is None
    chunks = watched.source.chunks()
    before = time.monotonic()
    await anext(chunks)
    first = watched.source.last_audio_at
    assert before <= first <= time.monotonic()
    more.set()
    await anext(chunks)
    assert watched.source.last_audio_at >= first
    await chunks.aclose()


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
