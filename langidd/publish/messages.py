"""What is published: pure functions from values to the bytes of a message.

JSON is UTF-8 in one line, its keys always in the same order; times are ISO 8601 in UTC
with milliseconds; probabilities have four decimals. The schemas (`langidd.publish.schemas`)
say what each key means and hold an example of each message.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langidd.types import Decision, Health, Span

FORMAT: Final = 1
"""Of the JSON messages; it rises when a key changes its meaning or goes."""

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"

_RANDOM_BITS: Final = 74
_LAST_SECOND: Final = 253_402_300_799.0
"""Of the year 9999, the calendar's last."""


@dataclass(frozen=True, slots=True)
class SourceAnnouncement:
    """A source that will be published: its name as people wrote it, and what it may say.

    `languages` are those that its decider chooses among (without `und` and `zxx`); empty
    where they are not known. `kind` is one word for people: `microphone`, `rtsp`, `file`.
    """

    name: str
    languages: tuple[str, ...] = ()
    kind: str = ""


def availability(*, online: bool) -> bytes:
    """Whether a node or a source is there: the bare word `online` or `offline`."""
    return ONLINE if online else OFFLINE


def language(decision: Decision) -> bytes:
    """The language alone: its bare code, `und` or `zxx`."""
    return decision.language.encode()


def state(node: str, decision: Decision, health: Health) -> bytes:
    """The whole of the last decision, and how the source is."""
    return _json(
        {
            "format": FORMAT,
            "node": node,
            "source": decision.source,
            **_said(decision),
            "reason": decision.reason,
            "health": {
                "state": health.state,
                "since": timestamp(health.since),
                "detail": health.detail,
                "reconnects": health.reconnects,
            },
        }
    )


def event(node: str, decision: Decision, identifier: str, sequence: int) -> bytes:
    """One thing that happened: `language` (it is another one) or `pause` (a segment ended).

    `identifier` and `sequence` are the event's own: whoever sees one twice knows it by them.
    """
    return _json(
        {
            "format": FORMAT,
            "id": identifier,
            "sequence": sequence,
            "type": "pause" if decision.reason == "pause" else "language",
            "node": node,
            "source": decision.source,
            **_said(decision),
        }
    )


def window(node: str, span: Span, probabilities: Mapping[str, float]) -> bytes:
    """What the classifier alone said of one window, before the decider."""
    return _json(
        {
            "format": FORMAT,
            "node": node,
            "source": span.source,
            "number": span.number,
            "start": timestamp(span.start),
            "end": timestamp(span.end),
            "new_s": _seconds(span.new_s),
            "segment": span.segment,
            "is_first": span.is_first,
            "is_last": span.is_last,
            "probabilities": {label: ratio(value) for label, value in probabilities.items()},
        }
    )


def _said(decision: Decision) -> dict[str, Any]:
    return {
        "language": decision.language,
        "previous": decision.previous,
        "confidence": ratio(decision.confidence),
        "since": timestamp(decision.since),
        "decided_at": timestamp(decision.decided_at),
        "speech_s": _seconds(decision.speech_s),
        "probabilities": {label: ratio(value) for label, value in decision.probabilities.items()},
    }


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as `2026-11-22T16:05:09.123Z`.

    A time that no calendar holds (a clock gone mad) is brought to the nearest that it does.
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
    """Return a probability with four decimals; what is no number is no certainty: 0."""
    return round(min(max(float(value), 0.0), 1.0), 4) if math.isfinite(value) else 0.0


def _milliseconds(seconds: float) -> int:
    return 0 if math.isnan(seconds) else round(min(max(seconds, 0.0), _LAST_SECOND) * 1000)


def _seconds(value: float) -> float:
    return round(max(float(value), 0.0), 3) if math.isfinite(value) else 0.0


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
