"""The outbox through any order of faults: each event is delivered, or counted as dropped."""

from __future__ import annotations

import asyncio
import itertools
import resource
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from langidd.publish import outbox_disk
from langidd.publish.outbox import FILE_NAME, Outbox, Row

if TYPE_CHECKING:
    from collections.abc import Coroutine

FULL_BYTES = 96 * 1024
BLOCKED = st.sampled_from(["no", "locked", "no directory"])


class OutboxStates(RuleBasedStateMachine):
    """Events come and leave; disk, lock, process and connection fail as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp())
        self.place = self.root / "state"
        self.locker: sqlite3.Connection | None = None
        self.lock_wait_s = outbox_disk.LOCK_WAIT_S
        outbox_disk.LOCK_WAIT_S = 0.0  # type: ignore[misc] # a test waits for no lock
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.numbers = itertools.count()
        self.added: set[str] = set()
        self.delivered: set[str] = set()
        self.known_lost: set[str] = set()
        """Events that were only in memory when the process ended: logged, and not durable."""
        self.dropped = 0

    def run(self, work: Coroutine[object, object, object]) -> object:
        return self.loop.run_until_complete(work)

    @initialize(rows=st.sampled_from([5, 10_000]), blocked=BLOCKED)
    def start(self, rows: int, blocked: str) -> None:
        self.rows = rows
        self.open(blocked)

    def open(self, blocked: str) -> None:
        self.block(blocked)

        async def make() -> Outbox:
            return Outbox(self.place, rows=self.rows)

        outbox = self.run(make())
        assert isinstance(outbox, Outbox)
        self.outbox = outbox

    def block(self, how: str) -> None:
        if how == "locked" and self.locker is None and not self.place.is_file():
            self.place.mkdir(exist_ok=True)
            self.locker = sqlite3.connect(self.place / FILE_NAME, isolation_level=None, timeout=0)
            # A full disk takes no lock file either.
            with suppress(sqlite3.OperationalError):
                self.locker.execute("PRAGMA locking_mode = EXCLUSIVE")
                self.locker.execute("BEGIN EXCLUSIVE")
        elif how == "no directory" and self.locker is None and not self.place.is_file():
            if self.place.exists():
                self.place.rename(self.root / "away")
            self.place.write_text("")

    @rule()
    def unblock(self) -> None:
        if self.locker is not None:
            self.locker.close()
            self.locker = None
        if self.place.is_file():
            self.place.unlink()
            if (self.root / "away").exists():
                (self.root / "away").rename(self.place)
        self.outbox._retry_at = 0.0

    @rule()
    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, self.limits[1]))

    @rule()
    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
        self.outbox._retry_at = 0.0

    @rule(count=st.integers(1, 30), size=st.sampled_from([10, 4_000]), settle=st.booleans())
    def add(self, count: int, size: int, settle: bool) -> None:  # noqa: FBT001 - hypothesis's
        async def work() -> None:
            for _ in range(count):
                row = Row(f"{next(self.numbers)}", "langidd/n/s/event", b"x" * size)
                self.added.add(row.id)
                self.outbox.append(row)
            if settle:
                await self.outbox.flush()

        self.run(work())

    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        async def work() -> None:
            rows = await self.outbox.oldest(count)
            self.delivered |= {row.id for row in rows}
            await self.outbox.remove(rows)

        self.run(work())

    @rule(count=st.integers(1, 20), ticks=st.integers(0, 3))
    def deliver_and_lose_the_connection(self, count: int, ticks: int) -> None:
        async def work() -> None:
            rows = await self.outbox.oldest(count)
            self.delivered |= {row.id for row in rows}
            removal = asyncio.ensure_future(self.outbox.remove(rows))
            for _ in range(ticks):
                await asyncio.sleep(0)
            removal.cancel()
            await asyncio.gather(removal, return_exceptions=True)

        self.run(work())

    @rule(blocked=BLOCKED)
    def restart(self, blocked: str) -> None:
        self.run(self.outbox.close())
        self.end(blocked)

    @rule(blocked=BLOCKED)
    def kill(self, blocked: str) -> None:
        async def work() -> None:
            worker, disk = self.outbox._worker, self.outbox._disk
            assert worker is not None
            assert disk is not None
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            if self.outbox._retry is not None:
                self.outbox._retry.cancel()
            self.outbox._closed = True
            await asyncio.wrap_future(worker.submit(disk.close))
            worker.shutdown()

        self.run(work())
        self.end(blocked)

    def end(self, blocked: str) -> None:
        self.dropped += self.outbox.dropped
        self.known_lost |= set(self.outbox._memory)
        self.open(blocked)

    @invariant()
    def the_gauges_are_those_of_the_disk(self) -> None:
        if not hasattr(self, "outbox"):
            return

        async def work() -> None:
            await self.outbox.flush()
            assert self.outbox.length >= 0
            assert self.outbox.size_bytes >= 0
            worker, disk = self.outbox._worker, self.outbox._disk
            assert worker is not None
            assert disk is not None
            if self.outbox._open:
                found = await asyncio.wrap_future(worker.submit(disk.read, 10**6, ()))
                await asyncio.sleep(0)
                assert self.outbox._on_disk.rows == len(found)
                assert self.outbox._on_disk.size == sum(row.size for row in found)

        self.run(work())

    def teardown(self) -> None:
        try:
            if hasattr(self, "outbox"):
                self.free()
                self.unblock()
                self.run(self.drain())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
            outbox_disk.LOCK_WAIT_S = self.lock_wait_s  # type: ignore[misc]
            self.loop.close()
            shutil.rmtree(self.root)

    async def drain(self) -> None:
        self.outbox._retry_at = 0.0
        while rows := await self.outbox.oldest(50):
            self.delivered |= {row.id for row in rows}
            await self.outbox.remove(rows)
        await self.outbox.close()
        assert self.outbox.durable is False
        assert self.outbox.length == 0
        assert not self.outbox.last_fault
        missing = self.added - self.delivered - self.known_lost
        dropped = self.dropped + self.outbox.dropped
        assert len(missing) <= dropped
        if self.rows > len(self.added):
            assert not missing
            assert dropped == 0


OutboxStates.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestOutboxStates = OutboxStates.TestCase
