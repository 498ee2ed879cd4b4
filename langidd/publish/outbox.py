"""Events that wait for the broker: on disk, in order, bounded, oldest out first.

SQLite in WAL mode with `synchronous=FULL`, in a thread of its own: the event loop never
waits for the disk. A row is on disk before it is sent and goes only when the broker has
acknowledged it, so a process that dies loses nothing that it had sent, and a subscriber
may see an event twice but none missing. Where there is no directory, or it is full or
read-only, rows wait in memory, under the same bounds, and that is said and counted.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from langidd.publish.outbox_disk import Disk, Holding, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_log = logging.getLogger(__name__)

__all__ = ["FILE_NAME", "Outbox", "Row"]

FILE_NAME: Final = "outbox.sqlite3"
MEMORY_BYTES: Final = 8 * 2**20
"""Of rows that are not on disk; fewer where the outbox itself is smaller."""
RETRY_S: Final = 5.0
"""Between attempts at a disk that failed: what comes meanwhile would not outlive the process."""
BATCH_ROWS: Final = 500

T = TypeVar("T")


class Outbox:
    """Events of one node on their way to the broker.

    `directory` is where the file lies; None keeps the rows in memory alone. Made before the
    event loop runs or in it; everything else belongs to the event loop's thread. `rows` and
    `size_bytes` bound what waits; the oldest goes first and is counted in `dropped`.
    """

    def __init__(
        self, directory: Path | None, *, rows: int = 100_000, size_bytes: int = 64 * 2**20
    ) -> None:
        self.dropped = 0
        """Events that were given up, oldest first, since the start."""
        self.faults = 0
        """Times that the disk failed."""
        self.last_fault = ""
        """Why rows are not on disk now; empty while they are, or where none was asked for."""
        self.arrived = asyncio.Event()
        """Set when a row was added."""
        self._most_rows = rows
        self._most_bytes = min(size_bytes, MEMORY_BYTES)
        self._memory: deque[Row] = deque()
        self._memory_bytes = 0
        self._sequence = 0
        self._sent_through = 0
        self._on_disk = Holding(0, 0)
        self._flush: asyncio.Task[None] | None = None
        self._retry_at = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._disk: Disk | None = None
        self._open = False
        self._worker: ThreadPoolExecutor | None = None
        if directory is not None:
            self._disk = Disk(directory / FILE_NAME, rows, size_bytes)
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="outbox")
            try:
                self._opened(*self._worker.submit(self._disk.open).result())
            except (sqlite3.Error, OSError) as error:
                self._failed(error)

    @property
    def durable(self) -> bool:
        """Whether rows lie on disk, and so outlive the process."""
        return self._open and not self.last_fault

    @property
    def length(self) -> int:
        """Rows that wait."""
        return self._on_disk.rows + len(self._memory)

    @property
    def size_bytes(self) -> int:
        """Bytes of topics and payloads that wait."""
        return self._on_disk.size + self._memory_bytes

    def take_sequence(self) -> int:
        """Return the next event's number: one more than the last, over restarts too."""
        self._sequence += 1
        return self._sequence

    def append(self, row: Row) -> None:
        """Add an event; at once, the disk follows in its thread."""
        self._memory.append(row)
        self._memory_bytes += row.size
        while len(self._memory) > self._most_rows or self._memory_bytes > self._most_bytes:
            self._memory_bytes -= self._memory.popleft().size
            self.dropped += 1
        self._start_flush()
        self.arrived.set()

    async def oldest(self, limit: int) -> list[Row]:
        """Return the rows that have waited longest, in order: from the disk, where it works."""
        while True:
            await self.flush()
            if self._disk is None or not self._open:
                break
            try:
                rows = await self._in_thread(self._disk.read, self._sent_through, limit)
            except sqlite3.Error as error:
                self._failed(error)
                break
            if rows:
                return rows
            # What came meanwhile goes to the disk first, unless the disk will not have it.
            if not self._memory or self.last_fault:
                break
        return list(islice(self._memory, limit))

    async def remove(self, through: int) -> None:
        """Let go of the rows up to that sequence: the broker has acknowledged them."""
        self._sent_through = max(self._sent_through, through)
        while self._memory and self._memory[0].sequence <= through:
            self._memory_bytes -= self._memory.popleft().size
        if self._disk is None or not self._open:
            return
        # Some may be on their way to the disk at this moment; the thread takes one after the other.
        if self._on_disk.rows or self._flushing:
            try:
                self._on_disk = await self._in_thread(self._disk.remove, through)
            except sqlite3.Error as error:
                self._failed(error)
            else:
                # Deleting may work where the disk has no room for what waits in memory.
                if not self._memory:
                    self._succeeded()

    async def flush(self) -> None:
        """Return when every row added so far is on disk, or the disk has failed."""
        self._start_flush()
        if self._flush is not None:
            await asyncio.shield(self._flush)

    async def replace_announced(self, sources: Iterable[str]) -> set[str]:
        """Remember the slugs of the sources announced; return those remembered before.

        So that a source that left the configuration can be retracted after a restart.
        Empty where there is no disk.
        """
        if not self._open or self._disk is None:
            return set()
        try:
            return await self._in_thread(self._disk.replace_announced, sorted(set(sources)))
        except sqlite3.Error as error:
            self._failed(error)
            return set()

    async def close(self) -> None:
        """Write what is not written yet and close the file."""
        await self.flush()
        if self._retry is not None:
            self._retry.cancel()
        if self._memory and self._disk is not None:
            _log.error(
                "%d events are lost: they were not sent, and the outbox could not be written (%s)",
                len(self._memory),
                self.last_fault,
            )
        if self._disk is not None and self._worker is not None:
            await self._in_thread(self._disk.close)
            self._worker.shutdown(wait=False)
        self._open = False

    @property
    def _flushing(self) -> bool:
        return self._flush is not None and not self._flush.done()

    def _start_flush(self) -> None:
        due = self._disk is not None and time.monotonic() >= self._retry_at
        if due and self._memory and not self._flushing:
            self._flush = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        disk = self._disk
        try:
            while self._memory and disk is not None:
                if not self._open:
                    self._opened(*await self._in_thread(disk.open))
                rows = list(islice(self._memory, BATCH_ROWS))
                self._on_disk = await self._in_thread(disk.write, rows)
                self.dropped += self._on_disk.dropped
                while self._memory and self._memory[0].sequence <= rows[-1].sequence:
                    self._memory_bytes -= self._memory.popleft().size
                self._succeeded()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            # Rows in memory are to reach the disk even if no further event comes.
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_S + 0.1, self._start_flush)

    def _opened(self, used: int, holding: Holding) -> None:
        self._open = True
        self._on_disk = holding
        self._sequence = max(self._sequence, used)

    def _succeeded(self) -> None:
        if self.last_fault:
            _log.warning("the outbox can be written again")
            self.last_fault = ""
            self._retry_at = 0.0

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        self.faults += 1
        self._retry_at = time.monotonic() + RETRY_S
        # A damaged file is opened anew, which sets it aside.
        if not isinstance(error, sqlite3.OperationalError):
            self._open = False
        if not self.last_fault:
            _log.error(
                "the outbox cannot be written (%s); events that the broker does not take at once "
                "wait in memory and a restart loses them",
                error,
            )
        self.last_fault = str(error) or type(error).__name__

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        assert self._worker is not None  # noqa: S101 - a disk always comes with its worker
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)
