from __future__ import annotations

import asyncio
import itertools
import logging
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.publish.outbox import FILE_NAME, Outbox, Row

if TYPE_CHECKING:
    from collections.abc import Iterator


COUNT = itertools.count(1)


def add(outbox: Outbox, size: int = 10) -> str:
    row = Row(f"event {next(COUNT)}", "langidd/n/s/event", b"x" * size)
    outbox.append(row)
    return row.id


def returncode(*command: str) -> int:
    return subprocess.run(command, check=False).returncode


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        filler.writelines(itertools.repeat(b"x" * 4096))


async def drain(outbox: Outbox) -> list[str]:
    seen = []
    while rows := await outbox.oldest(7):
        seen += [row.id for row in rows]
        await outbox.remove(rows)
    return seen


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "disk" else None


async def test_events_leave_in_the_order_in_which_they_came(place: Path | None) -> None:
    outbox = Outbox(place)
    added = [add(outbox) for _ in range(50)]
    assert outbox.length == 50
    assert await drain(outbox) == added
    assert (outbox.length, outbox.size_bytes, outbox.dropped) == (0, 0, 0)
    await outbox.close()


async def test_an_event_stays_until_it_is_removed(place: Path | None) -> None:
    outbox = Outbox(place)
    first, second = add(outbox), add(outbox)
    for _ in range(2):
        rows = await outbox.oldest(9)
        assert [row.id for row in rows] == [first, second]
    await outbox.remove(rows[:1])
    assert [row.id for row in await outbox.oldest(9)] == [second]
    await outbox.close()


async def test_the_oldest_go_first_where_there_are_too_many(place: Path | None) -> None:
    outbox = Outbox(place, rows=10)
    added = []
    for _ in range(5):
        added += [add(outbox) for _ in range(5)]
        await outbox.flush()
    assert await drain(outbox) == added[-10:]
    assert outbox.dropped == 15
    await outbox.close()


async def test_the_oldest_go_first_where_they_are_too_big(place: Path | None) -> None:
    outbox = Outbox(place, size_bytes=10_000)
    added = [add(outbox, size=1_000) for _ in range(20)]
    await outbox.flush()
    assert outbox.size_bytes <= 10_000
    kept = await drain(outbox)
    assert kept == added[-len(kept) :]
    assert len(kept) == 9
    assert outbox.dropped == 11
    await outbox.close()


async def test_a_row_in_the_middle_may_leave_before_the_oldest(place: Path | None) -> None:
    outbox = Outbox(place)
    added = [add(outbox) for _ in range(3)]
    rows = await outbox.oldest(9)
    await outbox.remove([rows[1]])
    assert [row.id for row in await outbox.oldest(9)] == [added[0], added[2]]
    assert outbox.length == 2
    await outbox.close()


async def test_a_restart_finds_what_was_left_and_counts_on(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    added = [add(outbox) for _ in range(5)]
    assert [outbox.take_sequence() for _ in added] == [1, 2, 3, 4, 5]
    await outbox.remove((await outbox.oldest(9))[:2])
    await outbox.close()

    outbox = Outbox(tmp_path)
    assert outbox.durable
    assert outbox.length == 3
    assert outbox.take_sequence() == 6
    added.append(add(outbox))
    assert await drain(outbox) == added[2:]
    await outbox.close()

    outbox = Outbox(tmp_path)
    assert outbox.take_sequence() == 7  # though the file was empty
    await outbox.close()


async def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.executescript(
            "CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,"
            " payload BLOB NOT NULL) STRICT;"
            "CREATE TABLE announced (source TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
            "INSERT INTO events VALUES (7, 'a/event', x'31'), (9, 'b/event', x'32');"
            "INSERT INTO announced VALUES ('kitchen');"
        )
    database.close()
    outbox = Outbox(tmp_path)
    assert outbox.durable
    assert outbox.take_sequence() == 10
    rows = await outbox.oldest(9)
    assert [(row.topic, row.payload) for row in rows] == [("a/event", b"1"), ("b/event", b"2")]
    assert await outbox.remember({"x"}) == set()
    await outbox.close()


async def test_what_was_flushed_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    program = """
import asyncio, os, pathlib, signal, sys
from langidd.publish.outbox import Outbox, Row
async def main():
    outbox = Outbox(pathlib.Path(sys.argv[1]))
    for number in range(40):
        outbox.append(Row(str(number), "topic", b"payload"))
    await outbox.flush()
    for number in range(40, 80):
        outbox.append(Row(str(number), "topic", b"payload"))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    assert returncode(sys.executable, "-c", program, str(tmp_path)) == -9
    outbox = Outbox(tmp_path)
    found = await drain(outbox)
    assert len(found) >= 40
    assert found == [str(number) for number in range(len(found))]
    await outbox.close()


async def test_the_event_loop_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    stuck, released = threading.Event(), threading.Event()

    def hang() -> None:
        stuck.set()
        released.wait()

    assert outbox._worker is not None
    outbox._worker.submit(hang)
    stuck.wait()
    added = [add(outbox) for _ in range(100)]
    assert outbox.length == 100
    asyncio.get_running_loop().call_later(0.05, released.set)
    assert await drain(outbox) == added
    await outbox.close()


async def test_a_removal_that_is_cancelled_is_done_and_counted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    added = [add(outbox) for _ in range(10)]
    rows = await outbox.oldest(4)
    stuck, released = threading.Event(), threading.Event()
    assert outbox._worker is not None
    outbox._worker.submit(lambda: (stuck.set(), released.wait()))
    stuck.wait()
    removal = asyncio.create_task(outbox.remove(rows))
    await asyncio.sleep(0)
    removal.cancel()
    await asyncio.gather(removal, return_exceptions=True)
    released.set()
    assert [row.id for row in await outbox.oldest(20)] == added[4:]
    assert (outbox.length, outbox.size_bytes) == (6, 6 * len("langidd/n/s/event" + 10 * "x"))
    await outbox.close()


async def test_no_numbers_are_given_while_the_count_is_unknown(tmp_path: Path) -> None:
    first = Outbox(tmp_path)
    assert first.take_sequence() == 1
    add(first)
    await first.flush()
    second = Outbox(tmp_path)
    add(second)
    assert second.take_sequence() is None
    await first.close()
    second._retry_at = 0.0
    await second.flush()
    assert second.take_sequence() == 2
    assert len(await drain(second)) == 2
    await second.close()


async def test_what_comes_while_others_leave_is_kept_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    added: list[str] = []

    async def produce() -> None:
        for number in range(300):
            added.append(add(outbox))
            await asyncio.sleep(0.0005 * (number % 4))

    producer = asyncio.create_task(produce())
    seen: list[str] = []
    while not producer.done() or outbox.length:
        outbox.arrived.clear()
        rows = await outbox.oldest(3)
        if rows:
            seen += [row.id for row in rows]
            await outbox.remove(rows)
        elif not producer.done():
            await asyncio.wait(
                {producer, asyncio.ensure_future(outbox.arrived.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
    await producer
    assert seen == added
    await outbox.flush()
    assert (outbox.length, outbox.size_bytes) == (0, 0)
    await outbox.close()
    outbox = Outbox(tmp_path)
    assert outbox.length == 0
    await outbox.close()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses writes past `size`, as a full disk does: root is refused, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_loses_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path)
    added = [add(outbox) for _ in range(3)]
    await outbox.flush()
    with no_file_larger_than(48 * 1024):
        for _ in range(20):
            outbox._retry_at = 0.0
            added += [add(outbox, size=4_000) for _ in range(3)]
            await outbox.flush()
        assert not outbox.durable
        assert outbox.faults > 1
        assert outbox.last_fault
        assert outbox.length == 63
        sent = []
        while len(sent) < 10:
            rows = await outbox.oldest(5)
            sent += [row.id for row in rows]
            await outbox.remove(rows)
        assert sent == added[: len(sent)]
    outbox._retry_at = 0.0
    added.append(add(outbox))
    await outbox.flush()
    assert outbox.durable
    assert await drain(outbox) == added[len(sent) :]
    assert outbox.dropped == 0
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert "wait in memory" in said[0].getMessage()
    await outbox.close()


async def test_a_small_disk_that_is_really_full(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if returncode("mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)):
        pytest.skip("mounting a small tmpfs needs root")
    try:
        outbox = Outbox(place)
        fill(place / "filler")
        added = [add(outbox, size=1_000) for _ in range(50)]
        await outbox.flush()
        assert not outbox.durable
        assert outbox.length == 50
        (place / "filler").unlink()
        outbox._retry_at = 0.0
        assert await drain(outbox) == added
        assert outbox.durable
        await outbox.close()
    finally:
        assert returncode("umount", "--lazy", str(place)) == 0


async def test_a_place_that_is_no_directory_leaves_events_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file")
    assert not outbox.durable
    added = [add(outbox) for _ in range(3)]
    assert await drain(outbox) == added
    assert "wait in memory" in caplog.text
    await outbox.close()


async def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1000)
    outbox = Outbox(tmp_path)
    assert outbox.durable
    added = [add(outbox) for _ in range(3)]
    assert await drain(outbox) == added
    assert (tmp_path / "outbox.unreadable").read_bytes().startswith(b"this is no")
    assert "damaged" in caplog.text
    await outbox.close()


async def test_a_second_process_does_not_send_the_first_ones_events(tmp_path: Path) -> None:
    first = Outbox(tmp_path)
    added = add(first)
    await first.flush()
    second = Outbox(tmp_path)
    assert not second.durable
    assert "locked" in second.last_fault
    assert await second.oldest(9) == []
    own = add(second)
    assert [row.id for row in await second.oldest(9)] == [own]
    assert [row.id for row in await first.oldest(9)] == [added]
    await first.close()
    await second.close()


async def test_the_file_shrinks_when_it_is_empty_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for _ in range(500):
        add(outbox, size=4_000)
    await outbox.flush()
    await outbox.close()
    assert (tmp_path / FILE_NAME).stat().st_size > 2_000_000
    outbox = Outbox(tmp_path)
    await drain(outbox)
    await outbox.close()
    assert (tmp_path / FILE_NAME).stat().st_size < 500_000
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 300)),
            st.tuples(st.just("send"), st.integers(1, 5)),
            st.tuples(st.just("flush"), st.just(0)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=30,
    ),
    rows=st.integers(1, 8),
)
def test_whatever_happens_what_leaves_is_the_newest_in_order(
    steps: list[tuple[str, int]], rows: int
) -> None:
    asyncio.run(_play(steps, rows))


async def _play(steps: list[tuple[str, int]], rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        outbox = Outbox(Path(directory), rows=rows)
        waiting: list[str] = []
        for step, amount in steps:
            if step == "add":
                waiting.append(add(outbox, amount))
            elif step == "send":
                sent = await outbox.oldest(amount)
                waiting = waiting[-rows:]
                assert [row.id for row in sent] == waiting[:amount]
                await outbox.remove(sent)
                waiting = waiting[len(sent) :]
            elif step == "flush":
                await outbox.flush()
            else:
                await outbox.close()
                outbox = Outbox(Path(directory), rows=rows)
            waiting = waiting[-rows:]
        assert await drain(outbox) == waiting
        await outbox.close()
