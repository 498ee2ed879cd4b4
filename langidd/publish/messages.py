"""The bytes of each message: pure functions that know no way of sending them.

JSON is UTF-8 on one line, its keys always in the same order; times are ISO 8601 in UTC with
milliseconds; probabilities have four decimals. The schemas (`langidd.publish.schemas`)
describe each key and hold an example of each message.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from langidd.naming import valid_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langidd.types import Decision, Health, Span

FORMAT: Final = 2
"""Of the JSON messages; it rises when a key changes its meaning or goes."""

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"

_RANDOM_BITS: Final = 74
_LAST_SECOND: Final = 253_402_300_799.0
"""Of the year 9999, the calendar's last."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where a decision lies in a recording: seconds from its beginning."""

    since_s: float
    decided_s: float


class RecordingTimes:
    """Wall times for the decisions of a recording that is read faster than it was spoken.

    Such decisions carry seconds from the recording's beginning. In messages they become
    offsets, and the wall times are those of the reading.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._since_at = 0.0

    def place(self, decision: Decision, now: float) -> tuple[Decision, Offsets]:
        """Return the decision with wall times, and its offsets in the recording.

        Args:
            decision: With times in seconds from the recording's beginning.
            now: The wall clock, seconds since the epoch.

        """
        if decision.since != self._since_s or self._since_at > now:
            self._since_s, self._since_at = decision.since, now
        placed = replace(decision, since=self._since_at, decided_at=now)
        return placed, Offsets(decision.since, decision.decided_at)


def availability(*, online: bool) -> bytes:
    """Whether a node or a source is there: the bare word `online` or `offline`."""
    return ONLINE if online else OFFLINE


def language(decision: Decision) -> bytes:
    """The language alone: its bare code, `und` or `zxx`."""
    return decision.language.encode()


def state(node: str, decision: Decision, health: Health, offsets: Offsets | None = None) -> bytes:
    """The last decision whole, and the source's health."""
    return to_json(
        {
            "format": FORMAT,
            "node": node,
            "source": decision.source,
            **_decided(decision, offsets),
            "reason": decision.reason,
            "health": {
                "state": health.state,
                "since": timestamp(health.since),
                "detail": health.detail,
                "reconnects": health.reconnects,
            },
        }
    )


def event(
    node: str,
    decision: Decision,
    identifier: str,
    sequence: int | None,
    offsets: Offsets | None = None,
) -> bytes:
    """One event: `language` (another one than before) or `pause` (a segment ended).

    Args:
        node: The node's slug.
        decision: What was decided.
        identifier: The event's own; an event that comes twice has the same.
        sequence: The event's number, where the count is known.
        offsets: Where it lies in a recording; None for live sound.

    """
    return to_json(
        {
            "format": FORMAT,
            "id": identifier,
            "sequence": sequence,
            "type": "pause" if decision.reason == "pause" else "language",
            "node": node,
            "source": decision.source,
            **_decided(decision, offsets),
        }
    )


def window(
    node: str, span: Span, probabilities: Mapping[str, float], *, read_at: float | None = None
) -> bytes:
    """The model's probabilities of one window, before the decider.

    Args:
        node: The node's slug.
        span: Where the window lies.
        probabilities: Calibrated, by label.
        read_at: For a recording, whose spans are offsets, the wall clock; else None.

    """
    start, end = span.start, span.end
    offsets = {}
    if read_at is not None:
        offsets = {"start_offset_s": _seconds(start), "end_offset_s": _seconds(end)}
        start, end = read_at - (end - start), read_at
    return to_json(
        {
            "format": FORMAT,
            "node": node,
            "source": span.source,
            "number": span.number,
            "start": timestamp(start),
            "end": timestamp(end),
            **offsets,
            "new_s": _seconds(span.new_s),
            "segment": span.segment,
            "is_first": span.is_first,
            "is_last": span.is_last,
            "probabilities": {label: ratio(value) for label, value in probabilities.items()},
        }
    )


def _decided(decision: Decision, offsets: Offsets | None) -> dict[str, Any]:
    content = {
        "language": decision.language,
        "previous": decision.previous,
        "confidence": ratio(decision.confidence),
        "since": timestamp(decision.since),
        "decided_at": timestamp(decision.decided_at),
    }
    if offsets is not None:
        content["since_offset_s"] = _seconds(offsets.since_s)
        content["decided_offset_s"] = _seconds(offsets.decided_s)
    return content | {
        "speech_s": _seconds(decision.speech_s),
        "probabilities": {label: ratio(value) for label, value in decision.probabilities.items()},
    }


def to_json(content: dict[str, Any]) -> bytes:
    """Return JSON in UTF-8, whatever bytes the names in it were made of."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return valid_text(text).encode()


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as `2026-11-22T16:05:09.123Z`.

    A time outside the calendar (the clock is wrong) becomes the nearest one inside.
    """
    milliseconds = _milliseconds(seconds)
    whole = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(tzinfo=None)
    return f"{whole.isoformat(timespec='seconds')}.{milliseconds % 1000:03d}Z"


def event_identifier(seconds: float, randomness: int) -> str:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random ones.

    Sorted as text, identifiers are in the order of their times.
    """
    milliseconds = _milliseconds(seconds)
    randomness &= (1 << _RANDOM_BITS) - 1
    high, low = randomness >> 62, randomness & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))


def ratio(value: float) -> float:
    """Return a probability with four decimals; 0 for what is not a number."""
    return round(min(max(float(value), 0.0), 1.0), 4) if math.isfinite(value) else 0.0


def _milliseconds(seconds: float) -> int:
    return 0 if math.isnan(seconds) else round(min(max(seconds, 0.0), _LAST_SECOND) * 1000)


def _seconds(value: float) -> float:
    return round(max(float(value), 0.0), 3) if math.isfinite(value) else 0.0
