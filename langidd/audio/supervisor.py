"""Keeps one source going, and says how it is: one rule for every kind of source."""

from __future__ import annotations

import asyncio
import logging
import random as _random
import time
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from langidd.audio.base import SourceCounts
from langidd.audio.gap_rate import GapRate
from langidd.errors import SourceError
from langidd.retry import Backoff, RetryPolicy
from langidd.types import SAMPLE_RATE, Health

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from langidd.audio.base import Source
    from langidd.types import Chunk, SourceState

_log = logging.getLogger(__name__)

_REPEAT_S: Final = 3600.0
"""A source that fails again and again for one reason is logged this often."""


_CLOCK_STEP_S: Final = 5.0
"""Stamps of two connections that are further apart than the time between them were made by two
clocks: the system's was set meanwhile. No network delays the first sound for so long."""


@dataclass(frozen=True, slots=True)
class SourceTimeouts:
    """How long a source may give no sound.

    Attributes:
        stall_s: Without sound for this long, a source that gave some is `stalled`.
        connect_s: The same before its first sound.
        steady_s: After this much sound the next failure is waited for from the
            shortest wait again.

    """

    stall_s: float = 10.0
    connect_s: float = 20.0
    steady_s: float = 30.0


class SupervisedSource:
    """A source that is opened again as its kind allows, with its state.

    The rule, whatever the kind: a source is `live` from its first chunk until it gave
    none for `stall_s` while one was waited for; then it is `stalled`. Sound that nobody
    asks for is no stall. What follows depends on `Source.recovery`.

    A permanent error is tried again as well (a password is put right, a camera's sound
    switched on), but at the longest wait.

    Args:
        name: The source's name in the configuration.
        make: Creates the source; called until it succeeds once.
        on_health: Called in the event loop with each change of state.
        timeouts: When the source is stalled.
        retry: The waits between attempts.
        random: Returns a number from 0 up to 1, for the jitter of the waits.
        sleep: Waits some seconds.

    Attributes:
        health: The state it is in now.
        last_audio_at: `time.monotonic()` of the last chunk; None before the first.

    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Source],
        on_health: Callable[[Health], None],
        *,
        timeouts: SourceTimeouts | None = None,
        retry: RetryPolicy | None = None,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.health = Health(source=name, state="connecting", since=time.time())
        self.last_audio_at: float | None = None
        self._make = make
        self._on_health = on_health
        self._timeouts = timeouts or SourceTimeouts()
        self._backoff = Backoff(retry, random)
        self._sleep = sleep
        self._source: Source | None = None
        self._counts = SourceCounts()
        self._logged_reason = ""
        self._logged_at = 0.0
        self._attempts = 0

    @property
    def live(self) -> bool:
        """Whether sound is lost while nobody reads it (True until that is known)."""
        return self._source is None or self._source.live

    @property
    def counts(self) -> SourceCounts:
        """What went wrong in the source."""
        return self._counts if self._source is None else self._source.counts

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """Yield the source's sound over all of its connections.

        The first chunk after a reconnect has `gap`. Returns only where the source has
        an end.

        Raises:
            SourceError: only where another attempt makes no sense (`recovery` is `none`).

        """
        ends_at = 0.0
        while True:
            self._attempts += 1
            self.counts.reconnects = self._attempts - 1
            self._enter("connecting")
            last_audio_at = self.last_audio_at
            try:
                async with aclosing(self._connection()) as connection:
                    async for chunk in connection:
                        if last_audio_at is not None:
                            since_s = time.monotonic() - last_audio_at
                            chunk = _first_of_connection(chunk, ends_at, since_s)  # noqa: PLW2901
                            last_audio_at = None
                        ends_at = chunk.ends_at
                        yield chunk
                self._enter("ended", "played to its end")
            except SourceError as error:
                if self._source is not None and self._source.recovery == "none":
                    self._enter("ended", str(error))
                    raise
                await self._wait(error)
            else:
                return

    async def _connection(self) -> AsyncGenerator[Chunk]:
        """Yield one connection's chunks."""
        if self._source is None:
            self._source = self._make()
            self._source.counts.reconnects = self._attempts - 1
        source = self._source
        samples = 0
        gaps = GapRate()
        async with aclosing(source.chunks()) as chunks:
            while True:
                if samples:
                    limit_s, detail = self._timeouts.stall_s, "no sound for"
                else:
                    limit_s, detail = self._timeouts.connect_s, "no sound within"
                detail = f"{detail} {limit_s:g} s"
                if source.recovery == "reconnect":
                    try:
                        async with asyncio.timeout(limit_s):
                            chunk = await anext(chunks, None)
                    except TimeoutError:
                        self._enter("stalled", detail)
                        raise SourceError(f"{self.name}: {detail}") from None
                else:
                    with self._stalled_after(limit_s, f"{detail}; waiting for more"):
                        chunk = await anext(chunks, None)
                if chunk is None:
                    return
                self.last_audio_at = time.monotonic()
                gaps.add(self.last_audio_at, gap=chunk.gap, holes=source.counts.holes)
                if self.health.state != "live" or self.health.detail != gaps.detail:
                    self._enter("live", gaps.detail)
                samples += len(chunk.samples)
                if samples >= self._timeouts.steady_s * SAMPLE_RATE:
                    self._backoff.reset()
                yield chunk

    @contextmanager
    def _stalled_after(self, limit_s: float, detail: str) -> Iterator[None]:
        """Say `stalled` if the block takes longer, and let it go on."""
        timer = asyncio.get_running_loop().call_later(limit_s, self._enter, "stalled", detail)
        try:
            yield
        finally:
            timer.cancel()

    async def _wait(self, error: SourceError) -> None:
        delay_s = self._backoff.longest_s() if error.permanent else self._backoff.next_s()
        quiet = self._is_logged(str(error))
        self._enter("waiting", f"{error}; next try in {delay_s:.1f} s", quiet=quiet)
        await self._sleep(delay_s)

    def _is_logged(self, reason: str) -> bool:
        """Whether the log holds this reason already, and nothing else since."""
        now = time.monotonic()
        if reason == self._logged_reason and now < self._logged_at + _REPEAT_S:
            return True
        self._logged_reason, self._logged_at = reason, now
        return False

    def _enter(self, state: SourceState, detail: str = "", *, quiet: bool = False) -> None:
        if state == "live":
            self._logged_reason = ""
        broken = state in {"stalled", "waiting"} or (state == "live" and detail)
        level = logging.WARNING if broken else logging.INFO
        if quiet or (state == "connecting" and self._logged_reason):
            level = logging.DEBUG
        _log.log(level, "%s: %s%s", self.name, state, f": {detail}" if detail else "")
        self.health = Health(
            source=self.name,
            state=state,
            since=time.time(),
            detail=detail,
            reconnects=self._attempts - 1,
        )
        self._on_health(self.health)


def _first_of_connection(chunk: Chunk, ends_at: float, since_s: float) -> Chunk:
    """Mark the sound that is missing before a chunk, and a clock that was set meanwhile.

    Args:
        chunk: The first of a connection.
        ends_at: Where the last chunk of the connection before ended, by its stamps.
        since_s: The time from its arrival to this one's.

    """
    step_s = chunk.ends_at - ends_at - since_s
    is_step = not chunk.clock_step_s and abs(step_s) > _CLOCK_STEP_S
    return replace(chunk, gap=True, clock_step_s=step_s if is_step else chunk.clock_step_s)
