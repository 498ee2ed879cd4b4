"""A disk that has hardly any room for the outbox, and one that somebody else fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langidd.publish.outbox import Outbox, Row
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte."""
    with small_disk(tmp_path):
        yield tmp_path


async def _events_through(outbox: Outbox, number: int) -> list[int]:
    """Events that come and leave at once; returns the numbers that left."""
    left = []
    for _ in range(number):
        outbox.append(Row(f"{outbox.take_sequence()}", "langidd/home/cam/event", b"x" * 450))
        rows = await outbox.oldest(20)
        left += [int(row.id) for row in rows]
        await outbox.remove(rows)
    return left


async def test_events_that_leave_at_once_need_no_more_room_after_a_thousand(disk: Path) -> None:
    outbox = Outbox(disk)
    assert await _events_through(outbox, 1_000) == list(range(1, 1_001))
    assert outbox.faults == 0
    assert outbox.length == 0
    await outbox.close()


async def test_on_a_disk_that_others_filled_events_still_pass(disk: Path) -> None:
    outbox = Outbox(disk)
    before = await _events_through(outbox, 20)
    fill(disk)
    after = await _events_through(outbox, 300)
    assert before + after == list(range(1, 321))
    assert outbox.faults == 0, outbox.last_fault
    await outbox.close()
    assert Outbox(disk).length == 0
