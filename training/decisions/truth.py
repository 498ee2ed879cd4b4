"""Who speaks what, when: the truth about a recording, as RTTM or TSV.

RTTM (NIST's Rich Transcription Time Marked) has ten fields a line. Here the lines of
type `LANGUAGE` count, as the DISPLACE challenges write them:

    LANGUAGE <file> 1 <start s> <duration s> <NA> <NA> <language> <NA> <NA>

A TSV has a header with at least `start`, `end` and `language` (seconds), and a column
`file` where one holds several recordings.
"""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from langidd.errors import LangiddError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

_RTTM_FIELDS = 8  # the two last may be left out, as many tools do


class TruthError(LangiddError):
    """A file of truth that cannot be read: names the file and the line."""


@dataclass(frozen=True, slots=True)
class TruthSpan:
    """Speech in one language, from `start` to `end` (seconds into the recording)."""

    start: float
    end: float
    language: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A recording's speech, in the order of time; where no span lies, nobody speaks."""

    spans: tuple[TruthSpan, ...] = ()
    _times: npt.NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _speech: npt.NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.spans, key=lambda span: (span.start, span.end)))
        for one, other in itertools.pairwise(ordered):
            if other.start < one.end - 1e-6:
                raise TruthError(
                    f"truth: two languages at once from {other.start:g} s ({one.language} until "
                    f"{one.end:g} s, {other.language}); cut one of the spans"
                )
        edges = np.array([edge for span in ordered for edge in (span.start, span.end)])
        lengths = np.array([length for span in ordered for length in (0.0, span.end - span.start)])
        object.__setattr__(self, "spans", ordered)
        object.__setattr__(self, "_times", edges)
        object.__setattr__(self, "_speech", np.cumsum(lengths))

    @property
    def speech_s(self) -> float:
        """All speech in the recording."""
        return float(self._speech[-1]) if self.spans else 0.0

    def speech_until(self, time_s: float) -> float:
        """Give the seconds of speech before `time_s`."""
        if not self.spans:
            return 0.0
        return float(np.interp(time_s, self._times, self._speech))

    def language_at(self, time_s: float) -> str | None:
        """Give the language at `time_s`, in a pause the last one spoken; None before any."""
        index = (
            int(np.searchsorted(self._times[::2], time_s, side="right")) - 1 if self.spans else -1
        )
        return self.spans[index].language if index >= 0 else None

    def speaking_at(self, time_s: float) -> bool:
        """Whether somebody speaks at `time_s`."""
        return bool(np.searchsorted(self._times, time_s, side="right") % 2)

    def turns(self) -> list[TruthSpan]:
        """Give the spans with neighbours of one language joined: between them lie switches."""
        joined: list[TruthSpan] = []
        for span in self.spans:
            if joined and joined[-1].language == span.language:
                joined[-1] = TruthSpan(joined[-1].start, span.end, span.language)
            else:
                joined.append(span)
        return joined


def read_truth(path: Path, recording: str) -> Truth:
    """Read a recording's truth; `recording` is its file's name without the ending.

    Raises:
        TruthError: It cannot be read, or says something impossible.

    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}: cannot be read: {error}") from error
    spans = _rttm(path, lines) if path.suffix.lower() == ".rttm" else _tsv(path, lines)
    names = {name for name, _ in spans if name is not None}
    return Truth(
        tuple(
            span
            for name, span in spans
            if name is None or len(names) == 1 or _stem(name) == recording
        )
    )


def write_truth(path: Path, spans: Sequence[TruthSpan]) -> None:
    """Write a truth as RTTM or TSV, by the path's ending."""
    if path.suffix.lower() == ".rttm":
        lines = [
            f"LANGUAGE {path.stem} 1 {span.start:.3f} {span.end - span.start:.3f} "
            f"<NA> <NA> {span.language} <NA> <NA>"
            for span in spans
        ]
    else:
        lines = ["start\tend\tlanguage"]
        lines += [f"{span.start:.3f}\t{span.end:.3f}\t{span.language}" for span in spans]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def find_truth(recording: Path, truth: Path | None) -> Path:
    """Find the truth of a recording: the file given, or one of its name, there or beside it.

    Raises:
        TruthError: There is none.

    """
    if truth is not None and truth.is_file():
        return truth
    directory = truth if truth is not None else recording.parent
    for ending in (".rttm", ".tsv"):
        path = directory / f"{recording.stem}{ending}"
        if path.is_file():
            return path
    raise TruthError(
        f"{recording}: no truth for it; put {recording.stem}.rttm or {recording.stem}.tsv "
        f"into {directory}, or name a file with --truth"
    )


def _stem(name: str) -> str:
    head, dot, ending = name.rpartition(".")
    return head if dot and ending.isalnum() and not ending.isdigit() else name


def _span(path: Path, number: int, start: str, end: float | str, language: str) -> TruthSpan:
    try:
        span = TruthSpan(float(start), float(end), language.strip().lower())
    except ValueError as error:
        raise TruthError(f"{path}, line {number}: a time is no number: {error}") from error
    if not (0.0 <= span.start < span.end < math.inf and span.language):
        raise TruthError(
            f"{path}, line {number}: a span needs 0 <= start < end and a language, "
            f"not {start!r}, {end!r}, {language!r}"
        )
    return span


def _rttm(path: Path, lines: Iterable[str]) -> list[tuple[str | None, TruthSpan]]:
    spans: list[tuple[str | None, TruthSpan]] = []
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts or parts[0] != "LANGUAGE":
            continue
        if len(parts) < _RTTM_FIELDS:
            raise TruthError(f"{path}, line {number}: {len(parts)} fields; LANGUAGE needs ten")
        try:
            end = float(parts[3]) + float(parts[4])
        except ValueError as error:
            raise TruthError(f"{path}, line {number}: a time is no number: {error}") from error
        spans.append((parts[1], _span(path, number, parts[3], end, parts[7])))
    return spans


def _tsv(path: Path, lines: Sequence[str]) -> list[tuple[str | None, TruthSpan]]:
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = {"start", "end", "language"} - set(rows.fieldnames or ())
    if missing:
        raise TruthError(f"{path}: its first line lacks {', '.join(sorted(missing))}")
    return [
        (
            row.get("file"),
            _span(path, number, row["start"] or "", row["end"] or "", row["language"] or ""),
        )
        for number, row in enumerate(rows, start=2)
    ]
