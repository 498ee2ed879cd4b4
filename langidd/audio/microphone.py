"""A microphone, through PortAudio in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.audio.base import SourceCounts
from langidd.audio.live import LiveChunks
from langidd.audio.portaudio import HEADER, NoDevice, bare_name, find
from langidd.audio.reader import MOST_HANGING
from langidd.audio.resampling import Resampler, to_float
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from langidd.audio.base import Recovery
    from langidd.config import SourceSettings
    from langidd.types import Chunk

_log = logging.getLogger(__name__)

_COMMAND: Final = (sys.executable, "-m", "langidd.audio.portaudio")

_LONGEST_LINE: Final = 1 << 16
_LIST_S: Final = 20.0
"""A driver that takes longer to say what there is hangs."""

_KILL_S: Final = 2.0
"""A killed process that takes longer to end hangs in the kernel."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """An input device: its number today, its name, and its native form."""

    number: int
    name: str
    interface: str
    channels: int
    rate: float


def list_microphones() -> list[Microphone]:
    """Return every input device that PortAudio sees now.

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
    except OSError as error:
        raise SourceError(f"microphones: no process can be started: {error.strerror}") from None
    answer = _parsed(done.stdout)
    if "error" in answer:
        raise SourceError(f"microphones: {answer['error']}", permanent=answer["permanent"])
    return [Microphone(**device) for device in answer["devices"]]


class MicrophoneSource:
    """An input device, recorded at its own rate with all of its channels mixed.

    Once it was open it is looked for by name, so it is found when it returns as another
    number.

    Args:
        name: The source's name in the configuration.
        device: The device's number, or (a part of) its name.

    """

    live: Final = True
    recovery: Final[Recovery] = "reconnect"

    def __init__(self, name: str, device: int | str) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._wanted: dict[str, Any] = {"device": device}
        self._ending: set[asyncio.Future[tuple[bytes, bytes]]] = set()

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> MicrophoneSource:
        """Return the source that the settings describe."""
        return cls(settings.name, "default" if settings.device is None else settings.device)

    def check(self) -> None:
        """Raise SourceError where no device fits; it says which there are."""
        devices = [asdict(microphone) for microphone in list_microphones()]
        try:
            find(devices, str(self._wanted["device"]))
        except NoDevice as error:
            raise self._error(f"{error} (langidd devices lists them)") from None

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """Open the device and yield its sound; ends with an error only.

        Raises:
            SourceError: there is no such device, or it is gone.

        """
        if len(self._ending) >= MOST_HANGING:
            raise self._error(
                f"{MOST_HANGING} processes hang in its driver; none is started before one ends"
            )
        try:
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
        except OSError as error:
            raise self._error(f"no process can be started to read it: {error.strerror}") from None
        try:
            if process.stdout is not None:
                async for chunk in self._chunks(process.stdout):
                    self.counts.samples += len(chunk.samples)
                    yield chunk
            raise self._error("is gone; is it still plugged in?")
        finally:
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Not `wait()`: it hangs while what the process had written is not read.
        ending = asyncio.ensure_future(process.communicate())
        self._ending.add(ending)
        ending.add_done_callback(self._ended)
        done, _ = await asyncio.wait([ending], timeout=_KILL_S)
        if not done:
            # In an uninterruptible call of its driver, or a child of it holds the pipe.
            self.counts.abandoned += 1
            self.counts.hanging = len(self._ending)
            _log.warning(
                "%s: the process that reads microphone %s does not end and was abandoned "
                "(%d of at most %d)",
                self.name,
                self._wanted["device"],
                len(self._ending),
                MOST_HANGING,
            )

    def _ended(self, ending: asyncio.Future[tuple[bytes, bytes]]) -> None:
        self._ending.discard(ending)
        self.counts.hanging = len(self._ending)

    async def _chunks(self, pipe: asyncio.StreamReader) -> AsyncIterator[Chunk]:
        opened = _parsed(await pipe.readline())
        if "error" in opened:
            raise self._error(opened["error"], permanent=opened["permanent"])
        self._wanted = {"device": bare_name(opened["name"]), "number": opened["number"]}
        channels = opened["channels"]
        resampler = Resampler(opened["rate"], channels)
        live = LiveChunks(self.counts)
        while (header := await _exactly(pipe, HEADER.size)) is not None:
            length, arrived_at, lost = HEADER.unpack(header)
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
            for chunk in live.push(sound, arrived_at - resampler.held_s):
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
    return {"error": "the process that reads it ended without an answer", "permanent": False}
