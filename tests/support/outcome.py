"""What came of a fault, and how soon all must be well after it."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIRST_S = 1.0
MOST_S = 60.0
"""The back-off that langidd promises: 1 s, doubled up to 60 s."""
ATTEMPT_S = 6.0
"""For one attempt that succeeds, on a busy machine: FFmpeg alone listens 2 s before it says
what a camera sends, and an event needs a speech segment to end."""
ANSWER_S = 10.0
"""For one attempt that nobody answers: FFmpeg's time limit, and MQTT's for an answer."""
CONNECT_S = 5.0
"""MQTT's time limit for the TCP connection."""
START_S = 90.0
"""For the start of the process, the model and all: what systemd gives a service by default."""
DISK_RETRY_S = 5.0
"""The outbox tries a disk that failed this often; meanwhile events wait in memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault, made at `at` (monotonic): it lasted `outage_s`, all was well `recovery_s` later.

    A fault of a camera is over when langidd says that the camera is live; one on the way
    to the broker, of the disk or of langidd itself when the next event reaches the witness.
    """

    kind: str
    target: str
    at: float
    outage_s: float
    recovery_s: float
    allowed_s: float
    note: str = ""


def allowed_s(outage_s: float, *, in_flight_s: float = 0.0) -> float:
    """How long a recovery may take, where all was well for long before the fault.

    The wait that the outage can have led to, and one attempt. Waits are drawn between half
    of 1, 2, 4 … 60 s and all of them, so after k waits at least (2^k - 1) / 2 s have gone.
    in_flight_s: for an attempt that was under way when the cause went, and must fail first.
    """
    waits = math.floor(math.log2(2 * max(outage_s + in_flight_s, 0.0) + 1))
    return min(MOST_S, FIRST_S * 2**waits) + in_flight_s + ATTEMPT_S
