# ruff: noqa: T201 - a report is what it prints
"""`make soak`: faults, again and again, on the running daemon, and the table of what they cost.

    python -m tests.faults.soak [--faults 100] [--minutes 60] [--seed 1] [--table FILE]

In every round each camera gets a fault while the broker, the disk, the clock, the model and
the configuration get theirs; then a camera is left alone until its back-off starts from the
beginning. What ends langidd itself comes last, so that its memory can be watched until then.
Ctrl-C ends it early, with the table. Exits with 1 where an event was lost or a recovery
took longer than the back-off allows.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from langidd import __version__
from tests.support.broker_faults import BROKER_FAULTS
from tests.support.camera_faults import CAMERA_FAULTS
from tests.support.house import STALL_S, House
from tests.support.langidd_faults import (
    LANGIDD_FAULTS,
    OUTBOX_FAULTS,
    clock_set,
    disk_full,
    model_failing,
    outbox_locked,
    reloaded,
)
from tests.support.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.support.outcome import Outcome

T = TypeVar("T")

CAMERAS = 8
RADIOS = 2
CAMERA_REST_S = 31.0
"""After 30 s of sound the back-off of a source starts from the beginning."""
BROKER_REST_S = 11.0
"""After 10 s of connection that of the broker does."""
HOLD_S = (1.0, 5.0)
OUTER = ("disk", "clock", "configuration", "model")
LAST_SHARE = 0.07
"""Of the faults, the part that ends langidd itself: most cost a start."""
ENDING_S = 90.0
"""Kept for each of them where time is short."""
WARM_S = 60.0
"""Before memory is measured for the first time."""


class Soak:
    """One run: rounds of faults until there were enough, or time is up."""

    def __init__(self, house: House, chance: random.Random, most: int, until: float) -> None:
        self.house = house
        self.ledger = Ledger(house.witness)
        self.failures: list[str] = []
        self._chance = chance
        self._most = most
        self._until = until
        self._stopped = False
        self._broker_well_at = 0.0
        self._bags: dict[tuple[Any, ...], list[Any]] = {}

    @property
    def enough(self) -> bool:
        return (
            self._stopped
            or len(self.ledger.outcomes) >= self._most
            or time.monotonic() > self._until
        )

    def stop(self) -> None:
        """Make no more faults, and come to the table."""
        self._stopped = True

    def extend(self, most: int, until: float) -> None:
        """Go on to that many faults, until that moment at the latest."""
        self._most, self._until = most, until

    async def rounds(self) -> None:
        """Faults on all but langidd's own life."""
        while not self.enough:
            await self.well()
            resting = asyncio.Event()
            lanes = [self._camera_lane(index) for index in range(len(self.house.cameras))]
            broker = asyncio.create_task(self._broker_lane(resting))
            await asyncio.gather(*lanes)
            resting.set()
            await broker
            print(f"{len(self.ledger.outcomes)} faults; {self.memory()}", flush=True)

    async def last(self) -> None:
        """Faults that end langidd's life."""
        while not self.enough:
            await self.well()
            outbox = OUTBOX_FAULTS if self.house.disk_is_small else (outbox_locked,)
            await self._one(self._draw((*LANGIDD_FAULTS, *outbox))(self.house, self._hold_s()))

    async def _camera_lane(self, index: int) -> None:
        await asyncio.sleep(self._chance.uniform(0, 4))
        kind, camera, langidd = (
            self._draw(CAMERA_FAULTS),
            self.house.cameras[index],
            self.house.langidd,
        )
        # Not only after our own faults: a machine that stands still is a stall, too.
        await langidd.until(
            lambda: (
                langidd.looked_at - langidd.live_since.get(camera.name, langidd.looked_at)
                > CAMERA_REST_S
            )
        )
        await self._one(kind(self.house, camera, self._hold_s()))

    async def _broker_lane(self, resting: asyncio.Event) -> None:
        """Faults one after the other, of the broker and of what else concerns all."""
        while not resting.is_set():
            # Also from round to round: a fault that meets a back-off which does not
            # start from the beginning takes longer than that fault alone allows.
            rest_s = self._broker_well_at + BROKER_REST_S - time.monotonic()
            if rest_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(resting.wait(), rest_s)
                continue
            if self._chance.random() < 0.6:
                await self._one(self._draw(BROKER_FAULTS)(self.house, self._hold_s()))
            else:
                await self._outer(self._draw(OUTER))
            self._broker_well_at = time.monotonic()

    async def _outer(self, what: str) -> None:
        if what == "disk" and self.house.disk_is_small:
            await self._one(disk_full(self.house, 15.0))
        elif what == "clock":
            off_s = self._chance.choice((3600.0, -3600.0))
            await self._one(clock_set(self.house, off_s))
            await self._one(clock_set(self.house, 0.0))
        elif what == "configuration":
            await self._one(reloaded(self.house, 0.0))
        elif what == "model":
            await self._one(model_failing(self.house, self._hold_s()))

    async def _one(self, fault: Coroutine[Any, Any, Outcome]) -> None:
        try:
            outcome = self.ledger.add(await fault)
        except (TimeoutError, AssertionError) as error:
            self.failures.append(f"{fault.__name__}: never recovered ({type(error).__name__})")
            print(self.failures[-1], error, self.house.langidd.tail(), sep="\n", flush=True)
            return
        print(
            f"{time.strftime('%H:%M:%S')} {outcome.kind} on {outcome.target}:"
            f" {outcome.outage_s:.1f} s, recovered in {outcome.recovery_s:.1f} s"
            f" of {outcome.allowed_s:.0f} s {outcome.note}",
            flush=True,
        )

    async def well(self) -> None:
        """Wait until every source is live and events reach the witness."""
        langidd = self.house.langidd
        await langidd.until(
            lambda: all(langidd.state(name) == "live" for name in self.house.sources)
        )
        await self.house.witness.next_event(time.monotonic(), 60)

    def _draw(self, kinds: tuple[T, ...]) -> T:
        """Each kind as often as the others, in an order by chance."""
        bag: list[T] = self._bags.setdefault(kinds, [])
        if not bag:
            bag += kinds
            self._chance.shuffle(bag)
        return bag.pop()

    def _hold_s(self) -> float:
        return self._chance.uniform(*HOLD_S)

    async def radio_metric(self, name: str) -> float:
        """A metric's sum over the sources that nobody meddles with."""
        values = await self.house.langidd.metric(name)
        return sum(values.get(f'{{source="{radio}"}}', 0.0) for radio, _ in self.house.radios)

    async def watched(self, work: Coroutine[Any, Any, None]) -> list[str]:
        """Do it; says what became of memory, and of the radios, which nobody meddles with."""
        first = self.memory()
        began, audio_s = time.monotonic(), await self.radio_metric("langidd_audio_seconds_total")
        await work
        await self.well()
        minutes = (time.monotonic() - began) / 60
        audio_s = await self.radio_metric("langidd_audio_seconds_total") - audio_s
        gaps = await self.radio_metric("langidd_audio_gaps_total")
        reconnects = await self.radio_metric("langidd_source_reconnects")
        return [
            f"- memory (RSS): {first} at first, {self.memory()} after {minutes:.1f} minutes",
            (
                f"- the two control sources, for {minutes:.1f} minutes: audio for"
                f" {audio_s / 60 / len(self.house.radios):.1f} minutes each, {gaps:.0f} gaps,"
                f" {reconnects:.0f} reconnects"
            ),
        ]

    def heading(self, seed: int, minutes: float) -> str:
        return (
            f"langidd {__version__}: {len(self.ledger.outcomes)} faults in {minutes:.0f} minutes, "
            f"seed {seed}; {CAMERAS} cameras (stall_s = {STALL_S:g}), {RADIOS} radios; "
            f"{os.cpu_count()} CPU cores, load {os.getloadavg()[1]:.1f}"
        )

    def memory(self) -> str:
        return f"{self.house.langidd.rss_mib():.0f} MiB, {self.house.langidd.threads()} threads"


async def run(arguments: argparse.Namespace) -> int:
    chance = random.Random(arguments.seed)  # noqa: S311 - faults, no secrets
    began = time.monotonic()
    until = began + 60 * arguments.minutes
    ends = max(len(LANGIDD_FAULTS) + len(OUTBOX_FAULTS), round(LAST_SHARE * arguments.faults))
    remarks = []
    with tempfile.TemporaryDirectory() as place:
        async with House(Path(place), cameras=CAMERAS, radios=RADIOS, model=None) as house:
            soak = Soak(house, chance, arguments.faults - ends, until - ENDING_S * ends)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, soak.stop)
            try:
                await soak.well()
                await asyncio.sleep(WARM_S)
                remarks += await soak.watched(soak.rounds())
                # A round's cameras may have made more faults than were asked for.
                soak.extend(len(soak.ledger.outcomes) + ends, until)
                await soak.last()
                await soak.well()
            except (TimeoutError, AssertionError) as error:
                soak.failures.append(f"not well again ({type(error).__name__}: {error})")
            if arguments.log:
                lines = [f"{at - began:8.2f} {line}" for at, line in house.langidd.log]
                await asyncio.to_thread(arguments.log.write_text, "\n".join(lines))
    wrong = soak.ledger.losses() + soak.failures
    text = "\n".join(
        [
            soak.heading(arguments.seed, (time.monotonic() - began) / 60),
            "",
            soak.ledger.table(),
            "",
            soak.ledger.account(),
            *remarks,
            *(f"- LATE: {line}" for line in soak.ledger.late()),
            *(f"- WRONG: {line}" for line in wrong),
        ]
    )
    print(text)
    if arguments.table:
        await asyncio.to_thread(arguments.table.write_text, text + "\n")
    return 1 if soak.ledger.late() or wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=100, help="at least")
    parser.add_argument("--minutes", type=float, default=60.0, help="at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path, help="write the table there too")
    parser.add_argument("--log", type=Path, help="write langidd's log there")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
