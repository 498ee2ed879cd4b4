"""Dates, over all that can happen to clocks: `since ≤ decided_at ≤ published`, and true."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.audio.base import SourceCounts
from langidd.audio.capture_clock import CaptureClock
from langidd.audio.live import LiveChunks
from langidd.config import VadSettings, WindowSettings
from langidd.decision.decider import Decider
from langidd.decision.presets import BALANCED
from langidd.service.results import not_in_the_future
from langidd.speech.frontend import SpeechFrontend
from langidd.speech.vad import FRAME_SAMPLES
from langidd.types import SAMPLE_RATE, Decision, Pause, Window
from tests.support.fake_model import CALIBRATION, scored

PIECE_S = 0.1
LOUD = {"uz": 0.5, "ru": 0.25}
ERROR_S = 1.0
"""How far a date may be from the truth."""


@dataclass
class World:
    """A microphone, the clock on the wall, and everything up to the decisions."""

    true: float = 1_790_000_000.0
    wall_error_s: float = 0.0
    language_since: dict[str, float] = field(default_factory=dict)
    published: list[tuple[Decision, float, float]] = field(default_factory=list)
    """Each decision with the wall's time and the true time at which it went out."""

    def __post_init__(self) -> None:
        clock = CaptureClock(monotonic=lambda: self.true, wall=self.wall)
        self.chunks = LiveChunks(SourceCounts(), clock)
        self.frontend = SpeechFrontend("x", VadSettings(), WindowSettings())
        self.decider = Decider("x", CALIBRATION, BALANCED)
        self.rest = np.empty(0, np.float32)
        self.last = ""
        self.errors = [(self.true, 0.0)]

    def wall(self) -> float:
        return self.true + self.wall_error_s

    def sound(self, what: str, seconds: float) -> None:
        """Let a language, or silence, be there for a while."""
        if self.wall_error_s != self.errors[-1][1]:
            self.errors.append((self.true, self.wall_error_s))
        if what in LOUD and what != self.last:
            self.language_since[what] = self.true
        self.last = what if what in LOUD else self.last
        level = LOUD.get(what, 0.0)
        for _ in range(round(seconds / PIECE_S)):
            self.true += PIECE_S
            samples = np.full(round(PIECE_S * SAMPLE_RATE), level, np.float32)
            for chunk in self.chunks.push(samples, self.true):
                self.rest = chunk.samples if chunk.gap else np.append(self.rest, chunk.samples)
                whole = len(self.rest) // FRAME_SAMPLES * FRAME_SAMPLES
                frames = self.rest[:whole].reshape(-1, FRAME_SAMPLES)
                self.rest = self.rest[whole:]
                for item in self.frontend.push(chunk, frames.mean(axis=1) > 0.1):
                    self.decide(item)

    def decide(self, item: Window | Pause) -> None:
        if isinstance(item, Pause):
            decision = self.decider.pause(item)
        else:
            is_uz = float(item.samples.mean()) > 0.375
            decision = self.decider.update(
                scored(item.span, [6.0, 0, 0, 0] if is_uz else [0, 6.0, 0, 0])
            )
        if decision is not None:
            now = self.wall()
            self.published.append((not_in_the_future(decision, now), now, self.true))


STEPS = st.one_of(
    st.sampled_from([3_600.0, -3_600.0, 0.7, -0.7]),
    st.floats(-1e6, 1e6).filter(lambda step_s: abs(step_s) > 0.6),
)
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["uz", "ru", "silence"]), st.floats(1.0, 20.0)),
    st.tuples(st.just("clock"), STEPS),
    st.tuples(st.just("lost"), st.floats(0.0, 100.0)),
)


@given(st.lists(EVENTS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_to_the_clock_dates_are_in_order_and_true(
    events: list[tuple[str, float]],
) -> None:
    world = World()
    world.sound("uz", 5.0)
    for what, amount in events:
        if what == "clock":
            world.wall_error_s += amount
        elif what == "lost":
            world.true += amount
            list(world.chunks.lose())
        else:
            world.sound(what, amount)
    world.sound("silence", 40.0)
    for decision, published_at, true_at in world.published:
        assert decision.since <= decision.decided_at <= published_at
        settled_at, error_s = [one for one in world.errors if one[0] < true_at][-1]
        if true_at > settled_at + ERROR_S:
            assert decision.since - error_s >= 1_790_000_000.0 - ERROR_S
            assert decision.decided_at - error_s <= true_at + ERROR_S
    last, _, _ = world.published[-1]
    assert last.language == "zxx"


def test_after_the_clock_was_set_since_is_still_when_the_language_began() -> None:
    for step_s in (3_600.0, -3_600.0, 86_400.0 * 365):
        world = World()
        world.sound("uz", 10.0)
        world.wall_error_s = step_s
        world.sound("uz", 10.0)
        decision = world.published[-1][0]
        assert decision.language == "uz"
        assert abs(decision.since - step_s - world.language_since["uz"]) <= ERROR_S
        world.sound("silence", 35.0)
        ended = world.true - 35.0
        decision = world.published[-1][0]
        assert decision.language == "zxx"
        assert abs(decision.since - step_s - ended) <= ERROR_S
        assert abs(decision.decided_at - step_s - ended - BALANCED.no_speech_after_s) <= 1.5
