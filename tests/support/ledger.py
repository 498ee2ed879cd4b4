"""What was injected and what it cost: counted, checked, and printed as a table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.outcome import Outcome
    from tests.support.witness import Witness

DELIVERY = ("broker", "disk", "langidd", "clock")
"""Targets whose faults can lose or double an event."""


class Ledger:
    """All outcomes of a run, and the witness's account of the events."""

    def __init__(self, witness: Witness) -> None:
        self.outcomes: list[Outcome] = []
        self._witness = witness

    def add(self, outcome: Outcome) -> Outcome:
        self.outcomes.append(outcome)
        return outcome

    def late(self) -> list[str]:
        """Recoveries that took longer than the back-off allows, one line each."""
        return [
            f"{one.kind} on {one.target}: {one.recovery_s:.1f} s, {one.allowed_s:.1f} s allowed"
            for one in self.outcomes
            if one.recovery_s > one.allowed_s
        ]

    def losses(self) -> list[str]:
        """What became of the events that should not have, one line each."""
        said = []
        if lost := self._witness.lost():
            said.append(f"events lost: {lost}")
        if reused := self._witness.reused():
            said.append(f"sequences used twice: {reused}")
        if late := self._witness.out_of_order():
            said.append(f"{late} events came after a later one")
        return said

    def account(self) -> str:
        """The events in one line."""
        witness = self._witness
        return (
            f"- events received: {len({seen.event['id'] for seen in witness.seen})}; "
            f"lost: {len(witness.lost())}; duplicates: {len(witness.doubled())}; "
            f"out of order: {witness.out_of_order()}"
        )

    def doubled_by_kind(self) -> dict[str, int]:
        """Events that came again, by the fault that went before."""
        found: dict[str, int] = defaultdict(int)
        for seen in self._witness.doubled():
            before = [one for one in self.outcomes if one.target in DELIVERY and one.at <= seen.at]
            found[max(before, key=lambda one: one.at).kind if before else "none"] += 1
        return found

    def table(self) -> str:
        """Markdown: a row for each kind, the sums below."""
        doubled = self.doubled_by_kind()
        lines = [
            "| fault | injected | in time | median | worst | allowed | worst share | duplicates |",
            "|---|---|---|---|---|---|---|---|",
        ]
        by_kind: dict[str, list[Outcome]] = defaultdict(list)
        for one in self.outcomes:
            by_kind[one.kind].append(one)
        for kind, some in sorted(by_kind.items()):
            worst = max(some, key=lambda one: one.recovery_s)
            lines.append(
                f"| {kind} | {len(some)} | {sum(one.recovery_s <= one.allowed_s for one in some)} |"
                f" {statistics.median(one.recovery_s for one in some):.1f} s |"
                f" {worst.recovery_s:.1f} s | {worst.allowed_s:.1f} s |"
                f" {max(one.recovery_s / one.allowed_s for one in some):.0%} |"
                f" {doubled.get(kind, 0)} |"
            )
        every = self.outcomes
        lines.append(
            f"| **all {len(by_kind)} kinds** | **{len(every)}** |"
            f" **{sum(one.recovery_s <= one.allowed_s for one in every)}** |"
            f" {statistics.median(one.recovery_s for one in every):.1f} s |"
            f" {max(one.recovery_s for one in every):.1f} s | |"
            f" {max(one.recovery_s / one.allowed_s for one in every):.0%} |"
            f" {sum(doubled.values())} |"
        )
        return "\n".join(lines)
