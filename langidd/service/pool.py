"""The sources in service: each is started, watched and stopped apart from all others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langidd.config import SourceSettings
    from langidd.service.stream import Stream
    from langidd.types import Decision, Health

log = logging.getLogger(__name__)

DRAIN_S: Final = 2.0
"""How long a source that is stopped may take to decide on what it has read."""

RESTART_S: Final = 1.0
"""After which a source whose stream failed inside langidd is started again."""


@dataclass(slots=True)
class Entry:
    """A source in service. Times are the event loop's.

    One that is `stopping` belongs to `SourcePool.stop` alone: that its task ends is neither
    the source's end nor its failure.
    """

    settings: SourceSettings
    stream: Stream
    task: asyncio.Task[None]
    health: Health | None = None
    decision: Decision | None = None
    last_audio_at: float | None = None
    unprocessed_since: float | None = None
    """The arrival of the first audio after the stream last gave anything."""
    stopping: bool = False

    @property
    def state(self) -> str:
        """How the source is: a `SourceState`."""
        return self.health.state if self.health is not None else "connecting"

    def audio_arrived(self, now: float) -> None:
        """Note a chunk."""
        processed_at = self.stream.moved_at or 0.0
        if self.unprocessed_since is None or processed_at >= self.unprocessed_since:
            self.unprocessed_since = now
        self.last_audio_at = now

    def backlog_s(self) -> float:
        """Return for how long audio has arrived without any window or pause coming out.

        A source that gives no audio has no backlog: that is the supervisor's affair.
        """
        if self.last_audio_at is None or self.unprocessed_since is None:
            return 0.0
        if (self.stream.moved_at or 0.0) >= self.unprocessed_since:
            return 0.0
        return self.last_audio_at - self.unprocessed_since


class SourcePool:
    """All sources, by name.

    Args:
        make_stream: builds the stream of a source that is to be started.

    Attributes:
        entries: the sources in service.
        failures: why sources ended that should not have.
        finished: how many sources were played to their end.

    """

    def __init__(self, make_stream: Callable[[SourceSettings], Stream]) -> None:
        self.entries: dict[str, Entry] = {}
        self.failures: list[SourceError] = []
        self.finished = 0
        self._make_stream = make_stream

    def start(self, source: SourceSettings, *, after_s: float = 0.0) -> None:
        """Start a source."""
        stream = self._make_stream(source)
        task = asyncio.create_task(_run(stream, after_s), name=f"source {source.name}")
        self.entries[source.name] = Entry(source, stream, task)

    def start_missing(self, sources: Iterable[SourceSettings]) -> None:
        """Start the sources that are not in service yet."""
        for source in sources:
            if source.name not in self.entries:
                self.start(source)

    async def stop(self, entries: Iterable[Entry]) -> None:
        """Stop sources; return once their devices are free and what they read is decided."""
        stopping = list(entries)
        for entry in stopping:
            entry.stopping = True
            entry.stream.end()
        tasks = [entry.task for entry in stopping]
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_S)
        await cancel(tasks)
        for entry in stopping:
            self.entries.pop(entry.settings.name, None)

    def collect(self) -> None:
        """Remove the sources that have ended; restart those that failed inside langidd."""
        for entry in [entry for entry in self.running() if entry.task.done()]:
            del self.entries[entry.settings.name]
            error = entry.task.exception()
            if error is None:
                self.finished += 1
                continue
            cause = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            if isinstance(cause, SourceError):
                self.failures.append(cause)
                log.error("source %s: %s", entry.settings.name, cause)
                continue
            log.error(
                "source %s: failed inside langidd; restarting it in %g s",
                entry.settings.name,
                RESTART_S,
                exc_info=error,
            )
            self.start(entry.settings, after_s=RESTART_S)

    def running(self) -> list[Entry]:
        """Return the sources that are not being stopped."""
        return [entry for entry in self.entries.values() if not entry.stopping]

    def blocked(self, within_s: float) -> str:
        """Return which source gives audio that has led to nothing for `within_s`, in one line."""
        for name, entry in self.entries.items():
            if (backlog_s := entry.backlog_s()) > within_s:
                return f"source {name}: audio has arrived for {backlog_s:.0f} s without any result"
        return ""


async def cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)


async def _run(stream: Stream, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await stream.run()
