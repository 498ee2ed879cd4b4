"""The figures as tables for people and as JSON for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from langidd_training.decisions.bars import against_bars
from langidd_training.decisions.figures import figures, reliability, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langidd_training.decisions.figures import Figure
    from langidd_training.decisions.score import Tally


PIPED_WIDTH: Final = 230
"""Columns of text where no terminal says how many it has: the widest table needs them."""


def table_console() -> Console:
    """Give standard output for tables: as wide as the terminal; in a pipe no cell is cut short."""
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def kinds(tallies: Sequence[Tally]) -> dict[str, list[Tally]]:
    """Sort the recordings by kind, in the order in which they come."""
    sorted_: dict[str, list[Tally]] = {}
    for one in tallies:
        sorted_.setdefault(one.kind, []).append(one)
    return sorted_


def tables(tallies: Sequence[Tally]) -> Iterator[Table]:
    """Make the tables: all recordings, each kind, the bars, confidence, time."""
    yield _overall(tallies)
    by_kind = kinds(tallies)
    if len(by_kind) > 1:
        yield _by_kind(by_kind)
    bars = against_bars(tallies)
    if bars:
        yield _bars(bars)
    yield _confidence(tallies)
    yield _time(tallies)


def as_object(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Give everything as a value for JSON; what is infinite or missing is null."""

    def shown(some: Sequence[Figure]) -> dict[str, Any]:
        return {
            one.name: {"unit": one.unit, "value": _finite(one.value),
                       "low": _finite(one.low), "high": _finite(one.high)}
            for one in some if not math.isnan(one.value)
        }  # fmt: skip

    return {
        "recordings": len(tallies),
        "audio_s": sum(one.audio_s for one in tallies),
        "model_s": sum(one.model_s for one in tallies),
        "other_s": sum(one.other_s for one in tallies),
        "all": shown(figures(tallies)),
        "kinds": {kind: shown(figures(some)) for kind, some in kinds(tallies).items()},
        "bars": [
            {"figure": bar.figure, "kinds": bar.kinds, "limit": bar.limit,
             "at_least": bar.at_least, "value": _finite(figure.value),
             "low": _finite(figure.low), "high": _finite(figure.high), "holds": holds}
            for bar, figure, holds in against_bars(tallies)
        ],
        "confidence": [
            dict(zip(("from", "to", "decisions", "mean", "right"), row, strict=True))
            for row in reliability(tallies)
        ],
    }  # fmt: skip


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def number(amount: float) -> str:
    """Write a number as people read it."""
    if math.isnan(amount):
        return ""
    return "never" if math.isinf(amount) else f"{amount:.2f}"


def _overall(tallies: Sequence[Tally]) -> Table:
    table = Table("figure", title=f"{len(tallies)} recordings")
    for heading in ("value", "95 % from", "to"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    for one in figures(tallies):
        if not math.isnan(one.value):
            table.add_row(one.name, number(one.value), number(one.low), number(one.high), one.unit)
    return table


_COLUMNS: Final = (
    ("first right %", "first decision right"),
    ("after s", "first decision, median"),
    ("90 % s", "first decision, 90 %"),
    ("found in 2 s %", "switches within 2 s"),
    ("in 3 s %", "switches within 3 s"),
    ("lag s", "switch lag, median"),
    ("false /h", "false switches"),
    ("wrong %", "wrong language"),
    ("und %", "no language (und)"),
    ("unknown und %", "und on unknown speech"),
    ("in vain /h", "languages named where nobody speaks"),
)


def _by_kind(by_kind: dict[str, list[Tally]]) -> Table:
    table = Table("kind", title="by kind")
    for heading, _ in (("recordings", ""), *_COLUMNS):
        table.add_column(heading, justify="right")
    for kind, some in by_kind.items():
        row = [number(value(some, name)) for _, name in _COLUMNS]
        table.add_row(kind, str(len(some)), *row)
    return table


def _bars(bars: Sequence[tuple[Any, Figure, bool]]) -> Table:
    table = Table("bar", "on", title="bars")
    for heading in ("limit", "value", "95 % from", "to"):
        table.add_column(heading, justify="right")
    table.add_column("holds")
    for bar, figure, holds in bars:
        table.add_row(
            f"{bar.figure}, {figure.unit}", ", ".join(bar.kinds),
            f"{'≥' if bar.at_least else '≤'} {bar.limit:g}",
            number(figure.value), number(figure.low), number(figure.high),
            "yes" if holds else "NO",
        )  # fmt: skip
    return table


def _confidence(tallies: Sequence[Tally]) -> Table:
    table = Table("published confidence", title="calibration")
    for heading in ("decisions", "mean", "share right"):
        table.add_column(heading, justify="right")
    for low, high, count, mean, right in reliability(tallies):
        table.add_row(f"{low:g} to {high:g}", str(count), f"{mean:.3f}", f"{right:.3f}")
    return table


def _time(tallies: Sequence[Tally]) -> Table:
    audio_s = sum(one.audio_s for one in tallies)
    table = Table("time", title="this machine's time, apart from the audio's")
    for heading in ("seconds", "of the audio's"):
        table.add_column(heading, justify="right")
    table.add_row("audio", f"{audio_s:.1f}", "")
    for what, spent_s in (
        ("decoding, speech and windows", sum(one.other_s for one in tallies)),
        ("model", sum(one.model_s for one in tallies)),
    ):
        share = f"{100.0 * spent_s / audio_s:.1f} %" if audio_s else ""
        table.add_row(what, f"{spent_s:.1f}", share)
    return table
