"""What `listen` shows: a live display, plain lines, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import typer

from langidd.cli.terminal import json_line
from langidd.publish.messages import ratio, timestamp
from langidd.types import NO_SPEECH, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from langidd.types import Decision, Health, Scores

CHANGES_SHOWN: Final = 8
BARS_SHOWN: Final = 8

LONGEST_RECORDING_S: Final = 10 * 365 * 86_400
"""A time earlier than ten years after 1970 counts from the start of a recording."""

COLOURS: Final = ("green", "cyan", "magenta", "yellow", "blue", "red")
_STATES: Final = {"live": "green", "ended": "dim", "connecting": "yellow"}
_NAMES: Final = {NO_SPEECH: "nobody is speaking", UNCERTAIN: "speech, language not certain"}


class View(Protocol):
    """Where decisions, scores and the source's health are shown."""

    @property
    def failed(self) -> bool:
        """Whether the source gives no audio."""

    def decision(self, decision: Decision) -> None:
        """Show a decision."""

    def scores(self, scores: Scores) -> None:
        """Show what the model says of one window."""

    def health(self, health: Health) -> None:
        """Show the state of the source."""


@contextmanager
def open_view(source: str, *, json_lines: bool) -> Iterator[View]:
    """Open the view: JSON where asked for, the live display on a terminal, lines otherwise."""
    if json_lines:
        yield JsonView()
    elif not sys.stdout.isatty():
        yield LineView()
    else:
        from rich.live import Live

        picture = PictureView(source)
        with Live(get_renderable=picture.picture, refresh_per_second=8, screen=False):
            yield picture


def clock_time(moment: float) -> str:
    """Return a capture time in local time.

    A recording that is not played in real time counts from its start.
    """
    if moment < LONGEST_RECORDING_S:
        minutes, seconds = divmod(int(moment), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%H:%M:%S")


class LineView:
    """One plain line for each change, end of a segment and state of the source."""

    def __init__(self) -> None:
        self._state = ""
        self.failed = False

    def decision(self, decision: Decision) -> None:
        """Write changes and pauses."""
        if decision.reason == "update":
            return
        sure = _percent(decision)
        note = f"  was {decision.previous}" if decision.previous else ""
        if decision.reason == "pause":
            note = f"  end of speech ({decision.speech_s:.1f} s)"
        moment = decision.since if decision.reason == "change" else decision.decided_at
        typer.echo(f"{clock_time(moment)}  {decision.language:<4}  {sure:4}{note}".rstrip())

    def scores(self, scores: Scores) -> None:
        """Show nothing: single windows are for the live display."""

    def health(self, health: Health) -> None:
        """Write the state when it changes."""
        self.failed = health.state in {"waiting", "stalled"}
        if health.state != self._state:
            self._state = health.state
            detail = f" ({health.detail})" if health.detail else ""
            typer.echo(f"{clock_time(health.since)}  {health.source} is {health.state}{detail}")


class JsonView:
    """Every decision and state as one JSON object a line; times in UTC (ISO 8601)."""

    def __init__(self) -> None:
        self.failed = False

    def decision(self, decision: Decision) -> None:
        """Write the decision."""
        _write(
            type="decision",
            source=decision.source,
            language=decision.language,
            confidence=ratio(decision.confidence),
            reason=decision.reason,
            since=timestamp(decision.since),
            decided_at=timestamp(decision.decided_at),
            previous=decision.previous,
            speech_s=round(decision.speech_s, 3),
            probabilities={label: ratio(value) for label, value in decision.probabilities.items()},
        )

    def scores(self, scores: Scores) -> None:
        """Write the window's probabilities."""
        _write(
            type="window",
            source=scores.span.source,
            number=scores.span.number,
            start=timestamp(scores.span.start),
            end=timestamp(scores.span.end),
            probabilities={label: ratio(value) for label, value in scores.probabilities.items()},
        )

    def health(self, health: Health) -> None:
        """Write the state."""
        self.failed = health.state in {"waiting", "stalled"}
        _write(
            type="health",
            source=health.source,
            state=health.state,
            since=timestamp(health.since),
            detail=health.detail,
            reconnects=health.reconnects,
        )


def _percent(decision: Decision) -> str:
    """Return how sure a language is; of `und` and `zxx` there is nothing to be sure of."""
    return "" if decision.language in _NAMES else f"{decision.confidence:.0%}".rjust(4)


def _write(**said: Any) -> None:
    typer.echo(json_line(said))


class PictureView:
    """The current language in big letters, a bar for each probability, the last changes."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._decision: Decision | None = None
        self._health: Health | None = None
        self._changes: deque[Decision] = deque(maxlen=CHANGES_SHOWN)
        self._windows = 0
        self._window: Mapping[str, float] = {}
        self._colours: dict[str, str] = {}
        self.failed = False

    def decision(self, decision: Decision) -> None:
        """Take a decision."""
        self._decision = decision
        if decision.reason == "change":
            self._changes.appendleft(decision)

    def scores(self, scores: Scores) -> None:
        """Take what the model says of the last window, before the filter."""
        self._windows = max(self._windows, scores.span.number)
        self._window = scores.probabilities

    def health(self, health: Health) -> None:
        """Take the source's state."""
        self._health = health
        self.failed = health.state in {"waiting", "stalled"}

    def colour(self, language: str) -> str:
        """Return the colour of a language, the same while the view is open."""
        if language in _NAMES:
            return "bright_black"
        return self._colours.setdefault(language, COLOURS[len(self._colours) % len(COLOURS)])

    def picture(self) -> RenderableType:
        """Draw all of it."""
        from rich.columns import Columns
        from rich.console import Group
        from rich.panel import Panel

        body = Group(Columns([self._now(), self._bars()], padding=(0, 4)), "", self._history())
        return Panel(body, title=f" {self._source} ", subtitle=self._footer(), padding=(1, 2))

    def _now(self) -> RenderableType:
        from rich.text import Text

        from langidd.cli.letters import big

        decision = self._decision
        if decision is None:
            return Text("listening …\n", style="dim")
        style = f"bold {self.colour(decision.language)}"
        held_s = max(0.0, decision.decided_at - decision.since)
        below = _NAMES.get(decision.language, f"{decision.confidence:.0%} sure")
        return Text("\n".join(big(decision.language)), style=style).append(
            f"\n\n{below}\nsince {clock_time(decision.since)} ({held_s:.0f} s)", style="dim"
        )

    def _bars(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        probabilities = self._decision.probabilities if self._decision else {}
        ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:BARS_SHOWN]
        for label, value in sorted(ranked):
            style = self.colour(label)
            bar = ProgressBar(
                total=1.0, completed=value, width=24, complete_style=style, finished_style=style
            )
            scored = self._window.get(label)
            window = "" if scored is None else f"[dim]window {scored:4.0%}[/]"
            table.add_row(f"[{style}]{label}[/]", bar, f"{value:4.0%}", window)
        return table

    def _history(self) -> RenderableType:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for change in self._changes:
            style = self.colour(change.language)
            table.add_row(
                f"[dim]{clock_time(change.since)}[/]",
                f"[{style}]{change.language}[/]",
                f"{_percent(change):4}",
                f"[dim]was {change.previous}[/]" if change.previous else "",
            )
        return table

    def _footer(self) -> str:
        from rich.markup import escape

        if self._health is None:
            return "starting"
        state, style = self._health.state, _STATES.get(self._health.state, "red")
        detail = f": {escape(self._health.detail)}" if self._health.detail else ""
        age_s = max(0.0, time.time() - self._health.since)
        lasting = f" for {age_s:.0f} s" if state != "ended" else ""
        return f"[{style}]{state}[/]{lasting}{detail} · {self._windows} windows · Ctrl-C ends"
