"""Runs what blocks in a thread of its own, which is abandoned when it hangs."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from langidd.audio.thread_queue import ThreadQueue
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.audio.base import SourceCounts
    from langidd.types import Chunk

_log = logging.getLogger(__name__)

MOST_HANGING: Final = 4
"""Reader threads of one source that may hang at once; beyond, none is started."""

_JOIN_S: Final = 0.5
"""How long a thread is waited for when nobody reads any more."""


class Reader:
    """Starts reader threads for one source and counts those that hang.

    A thread inside a library call cannot be stopped. It is told that nobody reads any
    more; until it notices it counts as hanging. It is a daemon thread, so it does not
    keep the process from ending.

    Args:
        name: The source's name, for messages.
        counts: Where dropped chunks and abandoned threads are counted.

    """

    def __init__(self, name: str, counts: SourceCounts) -> None:
        self._name = name
        self._counts = counts
        self._abandoned: list[threading.Thread] = []
        self._hanging: set[threading.Thread] = set()

    async def chunks(
        self,
        read: Callable[[ThreadQueue[Chunk]], None],
        *,
        capacity: int,
        drops: bool,
    ) -> AsyncGenerator[Chunk]:
        """Run `read` in a thread and yield what it puts into the queue.

        Args:
            read: Called in the thread; returns at the end of the sound.
            capacity: Chunks that the queue holds.
            drops: Whether a full queue drops its oldest chunk or lets the thread wait.

        Raises:
            SourceError: what `read` raised, no thread can be started, or too many hang.

        """
        if self.hanging() >= MOST_HANGING:
            raise SourceError(
                f"{self._name}: {MOST_HANGING} readers hang in FFmpeg or the driver; "
                "none is started before one of them returns"
            )
        queue: ThreadQueue[Chunk] = ThreadQueue(capacity, drops=drops)
        thread = threading.Thread(
            target=self._run, args=(read, queue), name=f"source {self._name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            raise SourceError(
                f"{self._name}: the system lets this process start no more threads"
            ) from None
        try:
            while (got := await queue.get()) is not None:
                chunk, dropped = got
                if dropped:
                    self._counts.dropped += dropped
                    chunk = replace(chunk, gap=True)
                self._counts.samples += len(chunk.samples)
                yield chunk
        finally:
            queue.close()
            self._abandoned.append(thread)
            # A thread that works stops at its next packet; only one that hangs is abandoned.
            if not await queue.returned(within_s=_JOIN_S):
                self.hanging()

    def hanging(self) -> int:
        """Return how many threads were abandoned and have not returned yet."""
        alive = {thread for thread in self._abandoned if thread.is_alive()}
        fresh = alive - self._hanging
        if fresh:
            self._counts.abandoned += len(fresh)
            _log.warning(
                "%s: a reader thread hangs and was abandoned (%d of at most %d)",
                self._name,
                len(alive),
                MOST_HANGING,
            )
        self._abandoned = list(alive)
        self._hanging = alive
        self._counts.hanging = len(alive)
        return len(alive)

    def _run(self, read: Callable[[ThreadQueue[Chunk]], None], queue: ThreadQueue[Chunk]) -> None:
        try:
            self._read(read, queue)
        finally:
            queue.thread_done()

    def _read(self, read: Callable[[ThreadQueue[Chunk]], None], queue: ThreadQueue[Chunk]) -> None:
        try:
            read(queue)
        except SourceError as error:
            queue.end(error)
        except Exception as error:  # noqa: BLE001 - handed to the loop, which raises it there
            # The text may hold the URL; the class says enough to find the cause.
            queue.end(
                SourceError(
                    f"{self._name}: the reader failed unexpectedly ({type(error).__name__})"
                )
            )
        else:
            queue.end()
