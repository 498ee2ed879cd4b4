"""Events that wait for the broker: on disk, in order, bounded, the oldest dropped first.

SQLite in WAL mode with `synchronous=FULL`, in a thread of its own: the event loop never
waits for the disk. A row is on disk before it is sent and is deleted only when the broker
has acknowledged it, so a subscriber may see an event twice, but none is missing. Without a
directory, or while the disk fails, rows wait in memory under the same bounds; that is
logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from langidd.publish.outbox_disk import Disk, Holding, Row, is_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

_log = logging.getLogger(__name__)

__all__ = ["FILE_NAME", "Outbox", "Row"]

FILE_NAME: Final = "outbox.sqlite3"
MEMORY_BYTES: Final = 8 * 2**20
"""Of rows that are not on disk; fewer where the outbox itself is smaller."""
RETRY_S: Final = 5.0
"""Between attempts at a disk that failed."""
BATCH_ROWS: Final = 500

T = TypeVar("T")


class Outbox:
    """Events of one node on their way to the broker.

    Made before the event loop runs or in it; everything else is called in the event loop.
    A row is known by its id, wherever it is: in memory, on its way to the disk, or on it.

    Args:
        directory: Where the file lies; None keeps the rows in memory alone.
        rows: The most events that wait.
        size_bytes: The most bytes of topics and payloads that wait.

    Attributes:
        dropped: Events that were given up since the start.
        faults: Times that the disk failed.
        last_fault: Why rows are not on disk now; empty while they are.
        arrived: Set when there may be something to send.

    """

    def __init__(
        self, directory: Path | None, *, rows: int = 100_000, size_bytes: int = 64 * 2**20
    ) -> None:
        self.dropped = 0
        self.faults = 0
        self.last_fault = ""
        self.arrived = asyncio.Event()
        self._most_rows = rows
        self._most_bytes = min(size_bytes, MEMORY_BYTES)
        self._memory: OrderedDict[str, Row] = OrderedDict()
        self._memory_bytes = 0
        self._sequence: int | None = 0
        self._on_disk = Holding(0, 0)
        self._undeleted: set[str] = set()
        """Ids of rows that were acknowledged and may still be on disk."""
        self._flush: asyncio.Task[None] | None = None
        self._retry_at = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._disk: Disk | None = None
        self._open = False
        self._closed = False
        self._worker: ThreadPoolExecutor | None = None
        if directory is not None:
            self._sequence = None
            self._disk = Disk(directory / FILE_NAME, rows, size_bytes)
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="outbox")
            try:
                self._opened(*self._worker.submit(self._disk.open).result())
            except (sqlite3.Error, OSError) as error:
                self._failed(error)

    @property
    def durable(self) -> bool:
        """Whether rows are kept on disk, and so outlive the process."""
        return self._open and not self.last_fault

    @property
    def length(self) -> int:
        """Rows that wait."""
        return self._on_disk.rows + len(self._memory)

    @property
    def size_bytes(self) -> int:
        """Bytes of topics and payloads that wait."""
        return self._on_disk.size + self._memory_bytes

    def take_sequence(self) -> int | None:
        """Return the next event's number, one more than the last, over restarts too.

        None until the file was opened for the first time: the count is in it.
        """
        if self._sequence is not None:
            self._sequence += 1
        return self._sequence

    def append(self, row: Row) -> None:
        """Add an event; returns at once, the disk follows in its thread."""
        self._memory[row.id] = row
        self._memory_bytes += row.size
        while len(self._memory) > self._most_rows or self._memory_bytes > self._most_bytes:
            self._memory_bytes -= self._memory.popitem(last=False)[1].size
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
                rows = await self._in_thread(self._disk.read, limit, frozenset(self._undeleted))
            except sqlite3.Error:
                break
            if rows:
                return rows
            # What came meanwhile goes to the disk first, unless the disk will not have it.
            if not self._memory or self.last_fault:
                break
        return list(islice(self._memory.values(), limit))

    async def remove(self, rows: Iterable[Row]) -> None:
        """Delete rows: the broker has acknowledged them. Completes even if cancelled."""
        for row in rows:
            if self._memory.pop(row.id, None) is not None:
                self._memory_bytes -= row.size
            if self._open:
                self._undeleted.add(row.id)
        if self._disk is None or not self._undeleted:
            return
        if not self._on_disk.rows and not self._flushing:
            self._undeleted.clear()
            return
        # The thread takes one job after the other: rows that are being written come first.
        try:
            await self._delete(self._disk)
        except sqlite3.Error:
            return
        # Deleting may work where the disk has no room for what waits in memory.
        if not self._memory:
            self._succeeded()

    async def drop(self, rows: Iterable[Row]) -> None:
        """Give up rows that can never be delivered, and count them."""
        rows = list(rows)
        self.dropped += len(rows)
        await self.remove(rows)

    async def flush(self) -> None:
        """Return when every row added so far is on disk, or the disk has failed."""
        self._start_flush()
        if self._flush is not None:
            await asyncio.shield(self._flush)

    async def remember(self, topics: Collection[str]) -> set[str]:
        """Remember that something is announced at these topics.

        Returns:
            All other topics that are remembered, of earlier runs too; empty while there is
            no disk.

        """
        if self._disk is None or not self._open:
            return set()
        try:
            return await self._in_thread(self._disk.remember, topics)
        except sqlite3.Error:
            return set()

    async def forget(self, topics: Collection[str]) -> None:
        """Forget announced topics: they were withdrawn."""
        if self._disk is not None and self._open and topics:
            try:
                await self._in_thread(self._disk.forget, topics)
            except sqlite3.Error:
                return  # said already; they will be withdrawn once more

    async def close(self) -> None:
        """Write what is not written yet and close the file."""
        await self.flush()
        self._closed = True
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
        if self._disk is None or self._closed or self._flushing:
            return
        undeleted = self.last_fault and self._undeleted
        if self._open and not self._memory and not undeleted:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._retry_at - time.monotonic()
        if wait_s <= 0:
            self._flush = loop.create_task(self._write(self._disk))
            self._flush.add_done_callback(lambda _: self._start_flush())
        elif self._retry is None:
            # Rows are to reach the disk even if no further event comes.
            self._retry = loop.call_later(wait_s + 0.01, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._start_flush()

    async def _write(self, disk: Disk) -> None:
        try:
            if not self._open:
                self._opened(*await self._in_thread(disk.open))
            if self._undeleted:
                await self._delete(disk)
            while self._memory:
                rows = list(islice(self._memory.values(), BATCH_ROWS))

                def written(rows: list[Row] = rows) -> None:
                    for row in rows:
                        if self._memory.pop(row.id, None) is not None:
                            self._memory_bytes -= row.size

                await self._in_thread(disk.write, rows, self._sequence or 0, then=written)
            self._succeeded()
        except (sqlite3.Error, OSError):
            return  # `_failed` has taken it

    async def _delete(self, disk: Disk) -> None:
        gone = frozenset(self._undeleted)
        await self._in_thread(
            disk.remove, gone, then=lambda: self._undeleted.difference_update(gone)
        )

    def _opened(self, used: int, holding: Holding) -> None:
        self._open = True
        self._take(holding)
        if self._sequence is None:
            self._sequence = used
        if holding.rows:
            self.arrived.set()

    def _take(self, holding: Holding) -> None:
        self._on_disk = holding
        self.dropped += holding.dropped

    def _succeeded(self) -> None:
        if self.last_fault:
            _log.warning("the outbox can be written again")
            self.last_fault = ""
            self._retry_at = 0.0

    def _failed(self, error: Exception) -> None:
        self.faults += 1
        self._retry_at = time.monotonic() + RETRY_S
        # A damaged file is opened again, which moves it aside.
        if isinstance(error, sqlite3.Error) and is_damage(error):
            self._open = False
            self._on_disk = Holding(0, 0)
            self._undeleted.clear()
        if not self.last_fault:
            _log.error(
                "the outbox cannot be written (%s); events that the broker does not take at once "
                "wait in memory and a restart loses them",
                error,
            )
        self.last_fault = str(error) or type(error).__name__

    async def _in_thread(
        self, work: Callable[..., T], *arguments: Any, then: Callable[[], None] | None = None
    ) -> T:
        """Run a job of the disk's thread.

        Whoever waits may be cancelled; the job is not, and what it did is taken into account
        in the order of the jobs, before anyone who waits goes on.
        """
        assert self._worker is not None  # noqa: S101 - a disk always comes with its worker
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._worker, work, *arguments)

        def settle(done: asyncio.Future[T]) -> None:
            error = None if done.cancelled() else done.exception()
            if isinstance(error, (sqlite3.Error, OSError)):
                self._failed(error)
            if error is None and not done.cancelled():
                result = done.result()
                if isinstance(result, Holding):
                    self._take(result)
                if then is not None:
                    then()

        job.add_done_callback(settle)
        return await asyncio.shield(job)
