"""Whether the service does what it is for, in three answers.

Live: nothing is stuck that a restart may free; the watchdog and `/livez` follow it. Ready:
the model is loaded and scores, audio arrives, the broker takes what is published, and the
machine keeps up. And each source on its own, so that one camera that is down is not a
reason to restart the rest.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from langidd.publish.messages import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langidd.model.batcher import Batcher
    from langidd.observability.http import Answer
    from langidd.publish.base import DeliveryState, Publisher
    from langidd.service.pool import Entry, SourcePool
    from langidd.service.results import Results

EXAMINE_EVERY_S: Final = 1.0
"""How often the daemon looks whether it does its work."""

LIVE_LIMIT_S: Final = 60.0
"""`/livez` fails when nothing has moved for this long; systemd's watchdog has its own limit."""

UNTAKEN_S: Final = 30.0
"""Events wait and the broker has acknowledged nothing for this long: it does not take them."""

NAMED: Final = 5
"""So many sources are named in the status line."""


class HealthMonitor:
    """Looks at all parts, once a second, and answers for them.

    Attributes:
        batcher: set once the model is loaded; until then the service is live, not ready.
        publisher: set once there is one.

    """

    def __init__(self, pool: SourcePool, results: Results) -> None:
        self.batcher: Batcher | None = None
        self.publisher: Publisher | None = None
        self._pool = pool
        self._results = results
        self._published = 0
        self._taken_at = 0.0
        # Read by the threads of HTTP, which may not look at the parts themselves.
        self._examined_at = time.monotonic()
        self._stuck = ""
        self._not_ready: tuple[str, ...] = ("the model is being loaded",)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._examined_at = time.monotonic()
            self._stuck = self.stuck(LIVE_LIMIT_S)
            if self.batcher is not None:
                self._not_ready = tuple(filter(None, self._examine(self._examined_at)))
            await asyncio.sleep(EXAMINE_EVERY_S)

    @property
    def ready(self) -> bool:
        """Whether the service does its work: `/readyz`."""
        return not self._not_ready

    def stuck(self, within_s: float) -> str:
        """Return in one line what has not moved for `within_s` though it should have.

        It is empty where a restart cannot help: a camera that is down, a silent pipe, a
        broker that is away.
        """
        stuck_s = self._results.scoring.stuck_s(self._oldest_wait_s, time.monotonic())
        if stuck_s >= within_s:
            return f"windows come, and none has been scored for {stuck_s:.0f} s"
        return self._pool.blocked(within_s)

    def status(self, total: int) -> str:
        """Return in one line how many sources are live, what is wrong, and what is spoken."""
        entries = list(self._pool.entries.values())
        live = sum(entry.state == "live" for entry in entries)
        down = [
            f"{entry.settings.name} {entry.state}"
            for entry in entries
            if entry.state not in {"live", "ended"}
        ]
        spoken = [
            f"{entry.settings.name}: {entry.decision.language}"
            for entry in entries
            if entry.decision is not None
        ]
        parts = [f"{live} of {total} sources live", *self._not_ready]
        return "; ".join([*parts, *down[:NAMED], *spoken[:NAMED]])

    def answers(self) -> dict[str, Answer]:
        """Return what HTTP answers for each path; called from other threads."""
        return {"/livez": self._livez, "/readyz": self._readyz, "/sources": self._sources}

    def _examine(self, now: float) -> Iterable[str]:
        yield self._results.examine(self._oldest_wait_s)
        yield self._results.scoring.overload(now)
        entries = self._pool.running()
        if entries and not any(entry.state == "live" for entry in entries):
            yield f"none of {len(entries)} sources gives audio"
        if self.publisher is not None:
            yield self._broker_trouble(self.publisher.delivery, now)

    def _broker_trouble(self, mqtt: DeliveryState, now: float) -> str:
        if not mqtt.waiting or mqtt.published != self._published:
            self._published, self._taken_at = mqtt.published, now
        if not mqtt.connected:
            return f"no connection to the broker: {mqtt.detail or 'connecting'}"
        if now - self._taken_at > UNTAKEN_S:
            return f"the broker has taken nothing for {now - self._taken_at:.0f} s"
        return ""

    @property
    def _oldest_wait_s(self) -> float:
        return 0.0 if self.batcher is None else self.batcher.oldest_wait_s

    def _livez(self) -> tuple[bool, Mapping[str, Any]]:
        reason = self._stuck
        if (still_s := time.monotonic() - self._examined_at) > LIVE_LIMIT_S:
            reason = f"the event loop has stood still for {still_s:.0f} s"
        return not reason, {"live": not reason, "reasons": [reason] if reason else []}

    def _readyz(self) -> tuple[bool, Mapping[str, Any]]:
        mqtt = None if self.publisher is None else asdict(self.publisher.delivery)
        states = {name: entry.state for name, entry in list(self._pool.entries.items())}
        return self.ready, {
            "ready": self.ready,
            "reasons": self._not_ready,
            "mqtt": mqtt,
            "sources": states,
        }

    def _sources(self) -> tuple[bool, Mapping[str, Any]]:
        now = time.monotonic()
        return True, {name: _report(entry, now) for name, entry in list(self._pool.entries.items())}


def _report(entry: Entry, now: float) -> dict[str, Any]:
    health, audio_at = entry.health, entry.last_audio_at
    return {
        "state": entry.state,
        "since": None if health is None else timestamp(health.since),
        "detail": "" if health is None else health.detail,
        "reconnects": 0 if health is None else health.reconnects,
        "seconds_since_audio": None if audio_at is None else round(now - audio_at, 1),
        "language": None if entry.decision is None else entry.decision.language,
    }
