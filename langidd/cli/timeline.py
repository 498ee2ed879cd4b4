"""The languages of a recording as one line of coloured blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    Spans = Sequence[tuple[float, float, str, float]]

_COLOURS: Final = ("green", "cyan", "magenta", "yellow", "blue", "red")
_FILLS: Final = "█▓▒░▚▞"
"""The languages differ without colour as well."""
_SILENCE: Final = "·"
_UNCERTAIN: Final = "?"


def _marks(spans: Spans) -> dict[str, tuple[str, str]]:
    """Return each language's block and colour, in order of appearance."""
    marks = {"zxx": (_SILENCE, "dim"), "und": (_UNCERTAIN, "dim")}
    languages = dict.fromkeys(span[2] for span in spans if span[2] not in marks)
    for index, language in enumerate(languages):
        marks[language] = (_FILLS[index % len(_FILLS)], _COLOURS[index % len(_COLOURS)])
    return marks


def timeline(spans: Spans, duration_s: float, width: int) -> Text:
    """Return `width` blocks; each shows the language spoken longest in its part of the time."""
    marks = _marks(spans)
    line = Text()
    step_s = duration_s / max(width, 1)
    for column in range(width if duration_s > 0 else 0):
        start_s, end_s = column * step_s, (column + 1) * step_s
        held: dict[str, float] = {}
        for span_start_s, span_end_s, language, _ in spans:
            overlap_s = min(end_s, span_end_s) - max(start_s, span_start_s)
            if overlap_s > 0:
                held[language] = held.get(language, 0.0) + overlap_s
        block, style = marks[max(held, key=lambda key: held[key])] if held else (_SILENCE, "dim")
        line.append(block, style)
    return line


def legend(spans: Spans) -> Text:
    """Return which block stands for which language."""
    shown = {span[2] for span in spans}
    line = Text()
    for language, (block, style) in _marks(spans).items():
        if language in shown:
            line.append(f"{block} {language}  ", style)
    return line
