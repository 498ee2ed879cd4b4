"""Runs what blocks in a thread of its own, which can be left behind when it hangs."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from langidd.audio.thread_queue import Mailbox
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.audio.base import SourceCounts
    from langidd.types import Chunk

_log = logging.getLogger(__name__)

MOST_HANGING: Final = 4
"""Reader threads of one source that may hang at once; beyond, none is started."""

_PARTING_S: Final = 0.5
"""How long a thread is waited for when nobody fetches any more."""


class Reader:
    """Starts reader threads for one source and keeps account of those that hang.

    A thread inside a library call cannot be stopped. It is told that nobody fetches
    any more; until it notices it counts as hanging. It is a daemon thread, so it
    does not keep the process from ending.
    """

    def __init__(self, name: str, counts: SourceCounts) -> None:
        self._name = name
        self._counts = counts
        self._left: list[threading.Thread] = []
        self._hanging: set[threading.Thread] = set()

    async def chunks(
        self,
        read: Callable[[Mailbox[Chunk]], None],
        *,
        capacity: int,
        drops: bool,
    ) -> AsyncGenerator[Chunk]:
        """Run `read` in a thread and give what it puts.

        Raises:
            SourceError: what `read` raised, or too many threads hang already.

        """
        if self.hanging() >= MOST_HANGING:
            raise SourceError(
                f"{self._name}: {MOST_HANGING} readers hang in FFmpeg or the driver; "
                "none is started before one of them returns"
            )
        mailbox: Mailbox[Chunk] = Mailbox(capacity, drops=drops)
        thread = threading.Thread(
            target=self._run, args=(read, mailbox), name=f"source {self._name}", daemon=True
        )
        thread.start()
        try:
            while (got := await mailbox.get()) is not None:
                chunk, lost = got
                if lost:
                    self._counts.dropped += lost
                    chunk = replace(chunk, gap=True)
                self._counts.samples += len(chunk.samples)
                yield chunk
        finally:
            mailbox.abandon()
            self._left.append(thread)
            # One that is well stops at its next packet; only one that hangs is left.
            if not await mailbox.left(within_s=_PARTING_S):
                self.hanging()

    def hanging(self) -> int:
        """How many threads were left behind and have not returned yet."""
        alive = {thread for thread in self._left if thread.is_alive()}
        fresh = alive - self._hanging
        if fresh:
            self._counts.abandoned += len(fresh)
            _log.warning(
                "%s: a reader thread hangs and was left behind (%d of at most %d)",
                self._name,
                len(alive),
                MOST_HANGING,
            )
        self._left = list(alive)
        self._hanging = alive
        self._counts.hanging = len(alive)
        return len(alive)

    def _run(self, read: Callable[[Mailbox[Chunk]], None], mailbox: Mailbox[Chunk]) -> None:
        try:
            self._read(read, mailbox)
        finally:
            mailbox.leave()

    def _read(self, read: Callable[[Mailbox[Chunk]], None], mailbox: Mailbox[Chunk]) -> None:
        try:
            read(mailbox)
        except SourceError as error:
            mailbox.end(error)
        except Exception as error:  # noqa: BLE001 - handed to the loop, which raises it there
            # The text may hold the URL; the class says enough to find the cause.
            mailbox.end(
                SourceError(
                    f"{self._name}: the reader failed unexpectedly ({type(error).__name__})"
                )
            )
        else:
            mailbox.end()
