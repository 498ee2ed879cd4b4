"""What happens around langidd (disk, configuration, clock) and to its own process."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.house import STALL_S
from tests.support.outcome import ANSWER_S, ATTEMPT_S, DISK_RETRY_S, START_S, Outcome, allowed_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.house import House

CANNOT_WRITE = "the outbox cannot be written"
DISK_PATIENCE_S = 90.0
"""An outbox that is full must say so sooner, while events come all the time: SQLite's log takes
new room every 256 kB, which is some twenty events."""


async def disk_full(house: House, hold_s: float) -> Outcome:
    """Fill the disk while the broker is away, so that the outbox has to grow."""
    langidd, began = house.langidd, time.monotonic()
    house.proxy.refuse()
    note = "never noticed: the outbox needed no more room"
    while time.monotonic() < began + max(hold_s, DISK_PATIENCE_S):
        # Over and over: langidd finds room in its own files.
        house.fill_disk()
        if any(at > began and CANNOT_WRITE in line for at, line in langidd.log[-200:]):
            note = ""
            break
        await asyncio.sleep(0.2)
    house.empty_disk()
    await house.proxy.heal()
    healed = time.monotonic()
    limit_s = allowed_s(healed - began)
    came = await house.witness.next_event(healed, 3 * limit_s + 60)
    if not note:
        again = await langidd.logged("the outbox can be written again", since=began)
        note = f"on disk again after {again - healed:.0f} s (every {DISK_RETRY_S:g} s)"
    return Outcome(
        "disk: full, and the broker away", "disk", began, healed - began, came - healed,
        limit_s, note,
    )  # fmt: skip


async def reloaded(house: House, _hold_s: float) -> Outcome:
    """Reload one that does not parse, then one with a source more, then one with it gone."""
    langidd, began = house.langidd, time.monotonic()
    before = await langidd.metric("langidd_source_reconnects")
    langidd.config.write_text("[mqtt\n", encoding="utf-8")
    langidd.process.send_signal(signal.SIGHUP)
    await langidd.logged("the configuration stays as it was", since=began)
    house.guests.append("guest")
    house.configure()
    healed = time.monotonic()
    langidd.process.send_signal(signal.SIGHUP)
    lives = await langidd.until(lambda: langidd.state("guest") == "live")
    house.guests.clear()
    house.configure()
    langidd.process.send_signal(signal.SIGHUP)
    await langidd.until(lambda: "guest" not in langidd.health["sources"])
    after = await langidd.metric("langidd_source_reconnects")
    touched = [
        name for name, _ in house.radios
        if before[f'{{source="{name}"}}'] != after[f'{{source="{name}"}}']
    ]  # fmt: skip
    assert not touched, f"a reload disturbed {touched}"
    return Outcome(
        "configuration: broken, then changed (SIGHUP)", "langidd", began, healed - began,
        lives - healed, ATTEMPT_S,
    )  # fmt: skip


async def clock_set(house: House, off_s: float) -> Outcome:
    """Set langidd's clock; well again when a camera's event tells the new time."""
    began = time.monotonic()
    house.langidd.set_clock(off_s)

    def told() -> bool:
        return any(
            seen.at > began
            and "camera" in seen.topic
            and abs(_epoch(seen.event["decided_at"]) - time.time() - off_s) < 60
            for seen in house.witness.seen[-50:]
        )

    await house.witness.until(told, 60)
    return Outcome(
        "clock: set by an hour", "clock", began, 0.0, time.monotonic() - began, ATTEMPT_S
    )


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def outbox_identifiers(directory: Path) -> set[str]:
    """The events in a dead langidd's outbox, read from a copy of it."""
    with tempfile.TemporaryDirectory() as place:
        for file in directory.glob("outbox.sqlite3*"):
            shutil.copy(file, place)
        with sqlite3.connect(Path(place) / "outbox.sqlite3") as database:
            rows = database.execute("SELECT json_extract(payload, '$.id') FROM events").fetchall()
        database.close()
    return {identifier for (identifier,) in rows}


async def langidd_killed(house: House, hold_s: float) -> Outcome:
    """SIGKILL while the broker is away and events wait on disk."""
    langidd, began = house.langidd, time.monotonic()
    house.proxy.refuse()
    await asyncio.sleep(hold_s)
    # The newest may be on its way to the disk; those before it are there.
    await _events_wait(house, 3)
    await langidd.end(signal.SIGKILL)
    waiting = outbox_identifiers(house.state)
    assert waiting, "nothing waited on disk"
    await house.proxy.heal()
    healed = time.monotonic()
    await langidd.start()
    came = await house.witness.next_event(healed, 120)
    await house.witness.until(lambda: waiting <= house.witness.identifiers, 60)
    return Outcome(
        "langidd: SIGKILL with events in the outbox", "langidd", began, healed - began,
        came - healed, START_S, f"{len(waiting)} events waited",
    )  # fmt: skip


async def langidd_killed_at_work(house: House, _hold_s: float) -> Outcome:
    """SIGKILL in the middle of everything."""
    began = time.monotonic()
    await house.langidd.end(signal.SIGKILL)
    # What it had sent may still be on its way to the witness.
    await asyncio.sleep(1.0)
    gone = time.monotonic()
    await house.langidd.start()
    came = await house.witness.next_event(gone, 120)
    return Outcome("langidd: SIGKILL at work", "langidd", began, gone - began, came - gone, START_S)


async def langidd_restarted(house: House, _hold_s: float) -> Outcome:
    """SIGTERM; it must drain within 5 s."""
    began = time.monotonic()
    assert await house.langidd.end() == 0
    ended = time.monotonic()
    await house.langidd.start()
    came = await house.witness.next_event(ended, 120)
    return Outcome(
        "langidd: SIGTERM, restarted", "langidd", began, ended - began, came - ended, START_S
    )


async def langidd_frozen(house: House, hold_s: float) -> Outcome:
    """SIGSTOP, as on a machine that was suspended."""
    langidd, began = house.langidd, time.monotonic()
    langidd.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(hold_s + STALL_S)
    langidd.process.send_signal(signal.SIGCONT)
    healed = time.monotonic()
    limit_s = allowed_s(hold_s) + ANSWER_S
    await house.witness.next_event(healed, 120)
    await langidd.until(
        lambda: (
            langidd.looked_at > healed + 1
            and all(langidd.state(name) == "live" for name in house.sources)
        )
    )
    return Outcome(
        "langidd: SIGSTOP", "langidd", began, healed - began, time.monotonic() - healed, limit_s
    )


async def _outbox_shut(
    house: House,
    hold_s: float,
    kind: str,
    shut: Callable[[], object],
    reopen: Callable[[], object],
) -> Outcome:
    """Start langidd while its outbox cannot be opened, with events in it, and no broker.

    Each event must reach the witness: those on disk, and those made meanwhile.
    """
    langidd, began = house.langidd, time.monotonic()
    house.proxy.refuse()
    await _events_wait(house, 3)
    assert await langidd.end() == 0
    on_disk = outbox_identifiers(house.state)
    assert on_disk, "nothing waited on disk"
    shut()
    try:
        await langidd.start()
        await langidd.logged(CANNOT_WRITE, since=began)
        await asyncio.sleep(hold_s)
        in_memory = await _events_wait(house, 3)
        assert (await langidd.metric("langidd_outbox_durable"))[""] == 0
        before = house.witness.identifiers
    finally:
        reopen()
    await house.proxy.heal()
    healed = time.monotonic()
    limit_s = allowed_s(healed - began)
    came = await house.witness.next_event(healed, 3 * limit_s + 60)
    await house.witness.until(
        lambda: (
            on_disk <= house.witness.identifiers
            and len(house.witness.identifiers - before - on_disk) >= in_memory
        ),
        60,
    )
    assert (await langidd.metric("langidd_outbox_dropped"))[""] == 0
    return Outcome(
        f"outbox: {kind} at the start", "langidd", began, healed - began, came - healed, limit_s,
        f"{len(on_disk)} events waited on disk, {in_memory:.0f} in memory",
    )  # fmt: skip


async def _events_wait(house: House, number: int) -> float:
    """Wait until so many events wait for the broker; how many there are then."""
    while True:
        waiting = (await house.langidd.metric("langidd_outbox_events"))[""]
        if waiting >= number:
            return waiting
        await asyncio.sleep(0.2)


async def outbox_locked(house: House, hold_s: float) -> Outcome:
    """Another program has the file, as a backup does."""
    lock = sqlite3.connect(house.state / "outbox.sqlite3", isolation_level=None)

    def shut() -> None:
        lock.execute("PRAGMA locking_mode=EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")

    return await _outbox_shut(house, hold_s, "locked", shut, lock.close)


async def outbox_full(house: House, hold_s: float) -> Outcome:
    """Not a byte is left on its disk."""
    return await _outbox_shut(house, hold_s, "disk full", house.fill_disk, house.empty_disk)


async def outbox_read_only(house: House, hold_s: float) -> Outcome:
    """Its file system is read-only, as after a fault of the disk."""
    return await _outbox_shut(
        house, hold_s, "read-only", house.make_disk_read_only, house.make_disk_writable
    )


async def model_failing(house: House, hold_s: float) -> Outcome:
    """The model fails on every window: not ready, and said so; then it works again."""
    langidd, began = house.langidd, time.monotonic()
    langidd.break_model()
    try:
        await langidd.until(lambda: "the model failed on each" in langidd.reasons, 60)
        await asyncio.sleep(hold_s)
    finally:
        langidd.mend_model()
    healed = time.monotonic()
    well = await langidd.until(
        lambda: langidd.looked_at > healed and "the model failed" not in langidd.reasons, 60
    )
    came = await house.witness.next_event(healed, 60)
    return Outcome(
        "model: fails on every window", "model", began, healed - began,
        max(well, came) - healed, ATTEMPT_S,
    )  # fmt: skip


LANGIDD_FAULTS = (langidd_killed, langidd_killed_at_work, langidd_restarted, langidd_frozen)
OUTBOX_FAULTS = (outbox_locked, outbox_full, outbox_read_only)
