"""Cameras whose time stamps are wrong, whose packets get lost, or who have several tracks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.rtsp import RtspSource
from langidd.audio.supervisor import SupervisedSource
from langidd.errors import SourceError
from tests.conftest import require
from tests.support.rtsp_process import pretender
from tests.support.stamped_camera import StampedCamera

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langidd.types import Chunk, Health

SECONDS = 6.0


@pytest.fixture(scope="module")
def alaw(speech: Path) -> bytes:
    """Real speech, A-law."""
    require("ffmpeg")
    clip = speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg"
    command = ["ffmpeg", "-v", "error", "-i", clip, "-ar", "8000", "-ac", "1", "-f", "alaw", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


SILENCE = bytes([0xD5]) * 80_000
"""A-law's zero."""


async def listen(source: RtspSource, seconds: float = SECONDS) -> list[tuple[Chunk, float]]:
    """The chunks, each with the time at which it came."""
    got: list[tuple[Chunk, float]] = []
    chunks = source.chunks()
    async with asyncio.timeout(60):
        async for chunk in chunks:
            got.append((chunk, time.time()))
            if sum(len(one.samples) for one, _ in got) >= seconds * 16_000:
                break
    await chunks.aclose()
    return got


_noise = random.Random(1)  # noqa: S311 - no secret

CONTINUOUS: dict[str, Callable[[int, float], float]] = {
    "five share one": lambda number, _: number // 5 * 0.2,
    "whole seconds": lambda _, time_s: time_s // 1,
    "jitter": lambda _, time_s: time_s + _noise.uniform(0, 0.2),
    "twice as fast": lambda _, time_s: 2 * time_s,
    "half as fast": lambda _, time_s: time_s / 2,
    "all the same": lambda *_: 0.0,
    "set back": lambda _, time_s: 1_000 + time_s - time_s // 2 * 10,
    "set ahead by half a second": lambda _, time_s: time_s + time_s // 2 * 0.5,
    "set ahead by a minute": lambda _, time_s: time_s + time_s // 2 * 60,
    "set ahead by a day": lambda _, time_s: time_s + time_s // 4 * 86_400,
    "wrapped": lambda _, time_s: 2**32 / 8_000 - 3 + time_s,
}


async def at_once(cameras: dict[str, StampedCamera]) -> dict[str, list[tuple[Chunk, float]]]:
    """Listen to all of them at the same time."""
    with ExitStack() as stack:
        ports = {name: stack.enter_context(pretender(one)) for name, one in cameras.items()}
        sources = [RtspSource(name, f"rtsp://127.0.0.1:{port}/x") for name, port in ports.items()]
        got = await asyncio.gather(*map(listen, sources))
    return dict(zip(cameras, got, strict=True))


async def test_whatever_a_camera_s_stamps_say_its_sound_is_continuous_and_of_now(alaw: bytes):
    cameras = {name: StampedCamera([alaw], stamp) for name, stamp in CONTINUOUS.items()}
    for packet_s in (0.01, 0.03, 0.06, 0.1):
        cameras[f"packets of {packet_s} s"] = StampedCamera([alaw], packet_s=packet_s)
    for name, got in (await at_once(cameras)).items():
        assert not any(chunk.gap for chunk, _ in got), name
        for (one, _), (other, _) in itertools.pairwise(got):
            assert other.captured_at == pytest.approx(one.ends_at, abs=0.01), name
        for chunk, came_at in got:
            assert -0.05 < came_at - chunk.ends_at < 1.5, name


async def test_a_few_lost_packets_are_silence_and_many_are_a_gap(alaw: bytes):
    lost = {100, 101, *range(130, 150)}
    source_holes = 0
    with pretender(StampedCamera([alaw], lost=lost.__contains__)) as port:
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x")
        got = await listen(source, 7)
        source_holes = source.counts.holes
    gaps = [
        (other.captured_at - one.ends_at)
        for (one, _), (other, _) in itertools.pairwise(got)
        if other.gap
    ]
    assert gaps == [pytest.approx(20 * 0.04, abs=0.1)]
    assert source_holes == 1
    assert abs(got[-1][1] - got[-1][0].ends_at) < 1.5


async def test_many_gaps_a_minute_are_in_health_and_log(
    alaw: bytes, caplog: pytest.LogCaptureFixture
):
    """Every twelfth packet is lost: a hole each half second."""
    caplog.set_level(logging.INFO)
    health: list[Health] = []
    told = asyncio.Event()

    def note(one: Health) -> None:
        health.append(one)
        if one.detail:
            told.set()

    with pretender(StampedCamera([alaw], lost=lambda number: number % 12 == 11)) as port:
        url = f"rtsp://127.0.0.1:{port}/x"
        source = SupervisedSource("cam", lambda: RtspSource("cam", url), note)

        async def consume() -> None:
            async for _ in source.chunks():
                pass

        listening = asyncio.ensure_future(consume())
        async with asyncio.timeout(30):
            await told.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert health[-1].state == "live"
    assert "gaps in the last minute" in health[-1].detail
    assert "live: 10 gaps in the last minute" in caplog.text


def loudness(got: list[tuple[Chunk, float]]) -> float:
    return float(np.abs(np.concatenate([chunk.samples for chunk, _ in got])).max())


async def test_of_two_tracks_the_one_with_sound_is_taken_and_the_other_is_named(
    alaw: bytes, caplog: pytest.LogCaptureFixture
):
    with pretender(StampedCamera([SILENCE, alaw])) as port:
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x")
        got = await listen(source, 5)
    assert loudness(got) > 0.05
    assert source.tracks == "audio track 1; left: 0"
    assert "cam: takes audio track 1; left: 0" in caplog.text
    # What was held until the choice is given too, with its own time.
    assert got[0][1] - got[0][0].ends_at > 1
    assert abs(got[-1][1] - got[-1][0].ends_at) < 1.5
    assert not any(chunk.gap for chunk, _ in got)


async def test_a_track_with_sound_is_not_waited_for(alaw: bytes):
    with pretender(StampedCamera([alaw, alaw])) as port:
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x")
        began = time.monotonic()
        await listen(source, 0.5)
        assert time.monotonic() - began < 3
    assert source.tracks == "audio track 0; left: 1"


async def test_a_track_that_gets_sound_later_is_taken_then(alaw: bytes):
    """At night all are silent; the first one that is not wins."""
    later = SILENCE[:40_000] + alaw
    with pretender(StampedCamera([SILENCE, later])) as port:
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x")
        got = await listen(source, 8)
    assert loudness(got[:30]) < 0.01
    assert loudness(got) > 0.05
    assert source.tracks == "audio track 1; left: 0"


async def test_a_track_is_chosen_by_its_number(alaw: bytes):
    with pretender(StampedCamera([alaw, SILENCE])) as port:
        url = f"rtsp://127.0.0.1:{port}/x"
        got = await listen(RtspSource("cam", url, track=1), 1)
        with pytest.raises(SourceError, match="has no audio track 2; there is 0, 1") as caught:
            await anext(RtspSource("cam", url, track=2).chunks())
    assert loudness(got) < 0.01
    assert caught.value.permanent
