"""A microphone, through PortAudio in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.audio.base import SourceCounts
from langidd.audio.live import LiveChunks
from langidd.audio.portaudio import HEADER, bare_name
from langidd.audio.resampling import Resampler, to_float
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from langidd.types import Chunk

_COMMAND: Final = (sys.executable, "-m", "langidd.audio.portaudio")

_LONGEST_LINE: Final = 1 << 16
_LIST_S: Final = 20.0
"""A driver that takes longer to say what there is hangs."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """An input device: its number today, its name, and its native form."""

    number: int
    name: str
    interface: str
    channels: int
    rate: float


def list_microphones() -> list[Microphone]:
    """Every input device that PortAudio sees now.

    Raises:
        SourceError: PortAudio is missing or hangs.

    """
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [*_COMMAND, "list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError("the sound system hangs: it does not say which devices it has") from None
    answer = _parsed(done.stdout)
    if "error" in answer:
        raise SourceError(f"microphones: {answer['error']}", permanent=answer["permanent"])
    return [Microphone(**device) for device in answer["devices"]]


class MicrophoneSource:
    """An input device, given by number or by (a part of) its name.

    Recorded at its own rate with all of its channels, which are mixed. Once it was
    open it is looked for by name, so it is found when it returns as another number.
    """

    live: Final = True

    def __init__(self, name: str, device: int | str) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._wanted: dict[str, Any] = {"device": device}

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """Open the device and give its sound; never ends but with an error.

        Raises:
            SourceError: there is no such device, or it is gone.

        """
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            "read",
            json.dumps(self._wanted),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        try:
            if process.stdout is not None:
                async for chunk in self._chunks(process.stdout):
                    self.counts.samples += len(chunk.samples)
                    yield chunk
            raise self._error("is gone; is it still plugged in?")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # Not `wait()`: it hangs while what the process had written is not read.
            await process.communicate()

    async def _chunks(self, pipe: asyncio.StreamReader) -> AsyncIterator[Chunk]:
        opened = _parsed(await pipe.readline())
        if "error" in opened:
            raise self._error(opened["error"], permanent=opened["permanent"])
        self._wanted = {"device": bare_name(opened["name"]), "number": opened["number"]}
        channels = opened["channels"]
        resampler = Resampler(opened["rate"], channels)
        live = LiveChunks(self.counts)
        while (header := await _exactly(pipe, HEADER.size)) is not None:
            length, heard_at, lost = HEADER.unpack(header)
            if lost:
                self.counts.overflows += lost
                for chunk in live.push(resampler.flush()):
                    yield chunk
                for chunk in live.lose():
                    yield chunk
            data = await _exactly(pipe, length) if length else None
            if data is None:
                return
            frames = np.frombuffer(data, dtype="<f4").reshape(-1, channels)
            sound = resampler.push(to_float(frames.T, self.counts))
            for chunk in live.push(sound, heard_at - resampler.held_s):
                yield chunk

    def _error(self, what: str, *, permanent: bool = False) -> SourceError:
        return SourceError(f"microphone {self._wanted['device']}: {what}", permanent=permanent)


async def _exactly(pipe: asyncio.StreamReader, length: int) -> bytes | None:
    try:
        return await pipe.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return {"error": "the process that reads it ended without a word", "permanent": False}
