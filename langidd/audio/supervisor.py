"""Keeps one source going: connecting, live, stalled, waiting, and again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from langidd.audio.base import SourceCounts
from langidd.errors import SourceError
from langidd.types import SAMPLE_RATE, Health

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from langidd.audio.base import Source
    from langidd.types import Chunk, SourceState

_log = logging.getLogger(__name__)

_REPEAT_S: Final = 3600.0
"""A source that fails again and again for one reason is logged this often."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source may be silent, and how long we wait before the next try.

    The wait doubles from `first_s` to `most_s`; the actual one is drawn between half
    of it and all of it, so that cameras that fell together do not return together.
    It starts again from `first_s` after `healthy_s` of sound.
    """

    stall_s: float = 10.0
    connect_s: float = 20.0
    first_s: float = 1.0
    most_s: float = 60.0
    healthy_s: float = 30.0


class SupervisedSource:
    """A source that is reconnected for ever, and tells how it is.

    `make` is called until it gives a source, which is then kept. What has an end (a
    file) ends; with `gives_up` it also ends with its error instead of trying again.
    An error that is permanent, as far as can be known, is tried again as well (a
    password is put right, a camera's sound switched on), but at the longest wait.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Source],
        on_health: Callable[[Health], None],
        *,
        patience: Patience | None = None,
        gives_up: bool = False,
        uniform: Callable[[float, float], float] = random.uniform,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._make = make
        self._on_health = on_health
        self._patience = patience or Patience()
        self._gives_up = gives_up
        self._uniform = uniform
        self._sleep = sleep
        self._source: Source | None = None
        self._counts = SourceCounts()
        self._reason = ""
        self._said_at = 0.0
        self._attempts = 0
        self._wait_s = self._patience.first_s

    @property
    def live(self) -> bool:
        """Whether sound is lost while nobody fetches it (True until that is known)."""
        return self._source is None or self._source.live

    @property
    def counts(self) -> SourceCounts:
        """What the source survived."""
        return self._counts if self._source is None else self._source.counts

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """Give the source's sound over all of its connections.

        The first chunk after a reconnect has `gap`. Ends only where the source has
        an end.

        Raises:
            SourceError: only with `gives_up`.

        """
        heard_before = False
        while True:
            self._attempts += 1
            self.counts.reconnects = self._attempts - 1
            self._tell("connecting")
            gap = heard_before
            try:
                async with aclosing(self._connection()) as connection:
                    async for chunk in connection:
                        yield replace(chunk, gap=True) if gap and not chunk.gap else chunk
                        gap = False
                        heard_before = True
                self._tell("ended", "played to its end")
            except SourceError as error:
                if self._gives_up:
                    self._tell("ended", str(error))
                    raise
                await self._wait(error)
            else:
                return

    async def _connection(self) -> AsyncGenerator[Chunk]:
        """One connection's chunks; a stall is an error like any other."""
        if self._source is None:
            self._source = self._make()
            self._source.counts.reconnects = self._attempts - 1
        source = self._source
        heard = 0
        async with aclosing(source.chunks()) as chunks:
            while True:
                limit_s = self._patience.stall_s if heard else self._patience.connect_s
                try:
                    # A source that is not live may take its time: a pipe, a slow disk.
                    async with asyncio.timeout(limit_s if source.live else None):
                        chunk = await anext(chunks, None)
                except TimeoutError:
                    raise self._stalled(limit_s, heard=bool(heard)) from None
                if chunk is None:
                    return
                if not heard:
                    self._tell("live")
                heard += len(chunk.samples)
                if heard >= self._patience.healthy_s * SAMPLE_RATE:
                    self._wait_s = self._patience.first_s
                yield chunk

    def _stalled(self, limit_s: float, *, heard: bool) -> SourceError:
        detail = f"no sound for {limit_s:g} s" if heard else f"no sound within {limit_s:g} s"
        self._tell("stalled", detail)
        return SourceError(f"{self.name}: {detail}")

    async def _wait(self, error: SourceError) -> None:
        most_s = self._patience.most_s
        longest_s = most_s if error.permanent else min(self._wait_s, most_s)
        delay_s = self._uniform(longest_s / 2, longest_s)
        self._wait_s = min(longest_s * 2, most_s)
        self._tell(
            "waiting", f"{error}; next try in {delay_s:.1f} s", quiet=self._said_lately(str(error))
        )
        await self._sleep(delay_s)

    def _said_lately(self, reason: str) -> bool:
        """Whether the log holds this reason already, and nothing else since."""
        now = time.monotonic()
        if reason == self._reason and now < self._said_at + _REPEAT_S:
            return True
        self._reason, self._said_at = reason, now
        return False

    def _tell(self, state: SourceState, detail: str = "", *, quiet: bool = False) -> None:
        if state == "live":
            self._reason = ""
        level = logging.WARNING if state in {"stalled", "waiting"} else logging.INFO
        if quiet or (state == "connecting" and self._reason):
            level = logging.DEBUG
        _log.log(
            level,
            "%s: %s%s",
            self.name,
            state,
            f": {detail}" if detail else "",
        )
        self._on_health(
            Health(
                source=self.name,
                state=state,
                since=time.time(),
                detail=detail,
                reconnects=self._attempts - 1,
            )
        )
