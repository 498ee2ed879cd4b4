"""What decisions must reach on mixes (`langidd score --make-mix`), and whether they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from langidd_training.decisions.figures import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.decisions.figures import Figure
    from langidd_training.decisions.score import Tally


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure over recordings of some kinds, and what it must be at the least or the most."""

    figure: str
    kinds: tuple[str, ...]
    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.limit if self.at_least else value <= self.limit


_SPEECH: Final = ("start", "one", "noisy", "turns", "inside", "mixed")
_SWITCHES: Final = ("turns", "inside", "mixed")

BARS: Final = (
    Bar("first decision right", _SPEECH, 98.0, at_least=True),
    Bar("first decision, median", _SPEECH, 1.2, at_least=False),
    Bar("first decision, 90 %", _SPEECH, 2.2, at_least=False),
    Bar("switches within 2 s", _SWITCHES, 75.0, at_least=True),
    Bar("switches within 3 s", _SWITCHES, 90.0, at_least=True),
    Bar("false switches", ("start", "one"), 3.0, at_least=False),
    Bar("false switches", ("noisy",), 10.0, at_least=False),
    Bar("wrong language", _SWITCHES, 12.0, at_least=False),
    Bar("languages named where nobody speaks", ("nothing",), 0.0, at_least=False),
    Bar("und on unknown speech", ("unknown",), 80.0, at_least=True),
)


def against_bars(tallies: Sequence[Tally]) -> list[tuple[Bar, Figure, bool]]:
    """Measure each bar that there are recordings for: the bar, the figure, whether it holds."""
    results = []
    for bar in BARS:
        some = [one for one in tallies if one.kind in bar.kinds]
        figure = next(one for one in figures(some) if one.name == bar.figure)
        if not math.isnan(figure.value):
            results.append((bar, figure, bar.holds(figure.value)))
    return results
