"""Faults by chance, without a process: connections, damaged outboxes, sound with mad times."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langidd.audio.base import SourceCounts
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.config import VadSettings, WindowSettings
from langidd.decision.decider import Decider
from langidd.decision.presets import BALANCED
from langidd.errors import SourceError
from langidd.model.calibration import calibrated_probabilities
from langidd.publish import messages, schemas
from langidd.publish.outbox import FILE_NAME, Outbox, Row
from langidd.speech.frontend import SpeechFrontend
from langidd.speech.vad import VoiceDetector
from langidd.types import SAMPLE_RATE, Calibration, Chunk, Decision, Pause, Scores, Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langidd.types import Health

STALL_S = 0.003
BETWEEN = st.tuples(
    st.sampled_from([0.0, 0.1, 5.0, 29.9, 30.0, 31.0, 100.0]),
    st.sampled_from(["lost", "hopeless", "stalled"]),
)


class Fragile:
    """A source whose every connection is written down: seconds of sound, then how it breaks."""

    name = "cam"
    live = True
    recovery = "reconnect"

    def __init__(self, connections: list[tuple[float, str]]) -> None:
        self.counts = SourceCounts()
        self.open = 0
        self._connections = iter(connections)

    async def chunks(self) -> AsyncGenerator[Chunk]:
        assert self.open == 0, "the connection before was left open"
        self.open += 1
        try:
            sound_s, end = next(self._connections)
            if sound_s:
                yield Chunk(np.zeros(round(sound_s * SAMPLE_RATE), np.float32), 0.0)
            if end == "stalled":
                await asyncio.Event().wait()
            raise SourceError("broken", permanent=end == "hopeless")
        finally:
            self.open -= 1


@settings(max_examples=150, deadline=None)
@given(st.lists(BETWEEN, min_size=1, max_size=12), st.floats(0, 1))
@example([(0.0, "lost")] * 9 + [(30.0, "lost"), (0.0, "lost")], 1.0)
def test_every_wait_is_within_the_back_off_and_every_loss_is_a_gap(
    connections: list[tuple[float, str]], luck: float
) -> None:
    waits: list[float] = []
    gaps: list[bool] = []
    told: list[Health] = []

    class EnoughError(Exception):
        pass

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == len(connections):
            raise EnoughError

    async def listen() -> None:
        fragile = Fragile(connections)
        source = SupervisedSource(
            "cam", lambda: fragile, told.append,
            timeouts=SourceTimeouts(stall_s=STALL_S, connect_s=STALL_S),
            random=lambda: luck, sleep=sleep,
        )  # fmt: skip
        try:
            async for chunk in source.chunks():
                gaps.append(chunk.gap)  # noqa: PERF401 - the last one comes with an error
        except EnoughError:
            assert fragile.open == 0

    asyncio.run(listen())
    ceiling = 1.0
    for (sound_s, end), wait_s in zip(connections, waits, strict=True):
        if sound_s >= 30.0:
            ceiling = 1.0
        if end == "hopeless":
            ceiling = 60.0
        assert wait_s == pytest.approx(ceiling * (1 - luck / 2))
        ceiling = min(60.0, 2 * ceiling)
    assert gaps == [number > 0 for number in range(len(gaps))]
    states = [health.state for health in told]
    assert states.count("live") == len(gaps)
    assert states.count("waiting") == len(connections)


WOUNDS = st.lists(
    st.one_of(
        st.tuples(
            st.just("set"), st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)
        ),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    ),
    min_size=1,
    max_size=6,
)


def _row(number: int) -> Row:
    return Row(f"{number}", "langidd/home/cam/event", json.dumps({"sequence": number}).encode())


def _contents(place: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in place.glob(FILE_NAME + "*")}


def _wound(place: Path, taken: dict[Path, bytes], wounds: list[tuple[str, float, bytes]]) -> None:
    """Put the files back as they were, damaged."""
    for file in place.glob(FILE_NAME + "*"):
        file.unlink()
    for file, content in taken.items():
        data = bytearray(content)
        for how, where, what in wounds:
            at = int(where * len(data))
            if how == "set":
                data[at : at + len(what)] = what
            else:
                del data[at:]
        file.write_bytes(data)


@settings(max_examples=60, deadline=None)
@given(WOUNDS, st.booleans())
def test_a_damaged_outbox_stops_nobody(
    wounds: list[tuple[str, float, bytes]],
    closed: bool,  # noqa: FBT001 - what hypothesis draws
) -> None:
    async def live(place: Path) -> None:
        first = Outbox(place)
        for number in range(30):
            first.append(_row(number))
        await first.flush()
        if closed:
            await first.close()
        taken = _contents(place)
        if not closed:
            # What a killed process leaves: the file, and what was written ahead of it.
            await first.close()
        _wound(place, taken, wounds)
        second = Outbox(place)
        fresh = _row(30)
        second.append(fresh)
        seen: list[Row] = []
        async with asyncio.timeout(20):
            while rows := await second.oldest(20):
                seen += rows
                await second.remove(rows)
        assert fresh in seen
        await second.close()

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(live(Path(place)))


SOUND = st.tuples(
    st.sampled_from(["speech", "silence", "square"]),
    st.integers(0, 9_600),
    st.one_of(st.just(0.0), st.floats(-1e7, 1e7), st.sampled_from([1e12, -1e12])),
    st.booleans(),
)
EVENT = schemas.load("event")


@settings(max_examples=100, deadline=None)
@given(st.lists(SOUND, max_size=40), st.integers(0, 2**32 - 1))
def test_whatever_sound_and_times_come_the_events_are_sound(
    pieces: list[tuple[str, int, float, bool]], seed: int
) -> None:
    noise = np.random.default_rng(seed)
    frontend = SpeechFrontend("cam", VadSettings(engine="webrtc"), WindowSettings())
    detector = VoiceDetector("webrtc", 2, 0.5)
    calibration = Calibration(("uz", "ru", "en"))
    decider = Decider("cam", calibration, BALANCED)
    at = 1_790_000_000.0
    items: list[Window | Pause] = []
    for kind, size, jump_s, gap in pieces:
        at += jump_s
        samples = {
            "speech": noise.normal(0, 0.2, size).clip(-1, 1),
            "silence": np.zeros(size),
            "square": np.sign(np.sin(np.arange(size) / 20)),
        }[kind].astype(np.float32)
        # A source marks what it knows to be a jump; the rest must be survived all the same.
        chunk = Chunk(samples, at, gap=gap)
        voiced = detector.finish(detector.cut(chunk), np.empty(0, np.float32))
        items += frontend.push(chunk, voiced)
        at += size / SAMPLE_RATE
    items += frontend.flush()
    for item in items:
        said: Decision | None
        if isinstance(item, Pause):
            said = decider.pause(item)
        else:
            row = noise.normal(0, 3, 3).astype(np.float32)
            probabilities = calibrated_probabilities(row, item.span.duration_s, calibration)
            said = decider.update(Scores(item.span, row, probabilities))
        if said is not None:
            assert said.since <= said.decided_at
        if said is not None and said.reason != "update":
            identifier = messages.event_identifier(at, seed)
            jsonschema.validate(json.loads(messages.event("home", said, identifier, 1)), EVENT)
