"""Microphones: PortAudio on virtual ALSA devices and on a PulseAudio null sink."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest

from langidd.audio import microphone
from langidd.audio.file import FileSource
from langidd.audio.microphone import MicrophoneSource, list_microphones
from langidd.audio.portaudio import NoDevice, bare_name, find
from langidd.audio.reader import MOST_HANGING
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.errors import SourceError
from langidd.retry import RetryPolicy
from tests.conftest import require
from tests.support.virtual_sound_card import alsa_microphones, pulseaudio, raw_stereo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from langidd.types import Chunk, Health
    from tests.support.virtual_sound_card import PulseAudio

    Sound = npt.NDArray[np.float32]


@pytest.fixture
async def recording(speech: Path, tmp_path: Path) -> tuple[Path, Sound]:
    """A clip for the virtual cards, and what one should hear of it."""
    clip = FileSource("clip", speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg")
    said = np.concatenate([chunk.samples async for chunk in clip.chunks()])
    raw_stereo(tmp_path / "speech.raw", said)
    return tmp_path / "speech.raw", said


@pytest.fixture
def cards(
    tmp_path: Path, recording: tuple[Path, Sound], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Sets which ALSA microphones there are, in which order."""
    require("portaudio")
    path = tmp_path / "asound.conf"
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(path))
    return lambda *names: alsa_microphones(path, list(names), recording[0])


async def listen(source: MicrophoneSource, seconds: float) -> list[Chunk]:
    chunks = source.chunks()
    got: list[Chunk] = []
    async with asyncio.timeout(60):
        async for chunk in chunks:
            got.append(chunk)
            if sum(len(one.samples) for one in got) >= seconds * 16_000:
                break
    await chunks.aclose()
    return got


async def error_of(source: MicrophoneSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await anext(source.chunks())
    assert "\n" not in str(caught.value)
    return caught.value


def children() -> set[str]:
    """Processes of ours that read a microphone now."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it ended while we looked
        if b"langidd.audio.portaudio" in line and int(parent) == os.getpid():
            found.add(process.name)
    return found


async def test_the_list_says_number_name_and_form(cards: Callable[..., None]):
    cards("USB Audio", "Headset")
    microphones = list_microphones()
    assert [microphone.name for microphone in microphones][:2] == ["USB Audio", "Headset"]
    assert microphones[1].number == 1
    assert microphones[0].interface == "ALSA"
    assert microphones[0].rate == 48_000


async def test_by_number_and_by_part_of_the_name(cards: Callable[..., None]):
    cards("USB Audio", "Headset")
    for device in (0, 1, "1", "headset", "AUDIO"):
        assert await listen(MicrophoneSource("mic", device), 0.2)


async def test_a_name_that_fits_nothing_or_two_says_which_there_are(cards: Callable[..., None]):
    cards("Desk Audio", "Room Audio")
    error = await error_of(MicrophoneSource("mic", "Kitchen"))
    assert "microphone Kitchen: there is no such microphone; there is 0 'Desk Audio'" in str(error)
    error = await error_of(MicrophoneSource("mic", "audio"))
    assert "more than one microphone fits" in str(error)
    error = await error_of(MicrophoneSource("mic", 77))
    assert "no such microphone" in str(error)
    assert not error.permanent  # it may be plugged in


async def test_it_is_found_by_name_under_another_number(cards: Callable[..., None]):
    cards("USB Audio", "Headset")
    source = MicrophoneSource("mic", 0)
    assert await listen(source, 0.2)
    cards("Headset", "Another", "USB Audio")
    assert await listen(source, 0.2)
    assert source._wanted == {"device": "USB Audio", "number": 2}
    cards("Headset")
    assert "USB Audio: there is no such" in str(await error_of(source))


def test_of_two_that_are_alike_the_one_at_its_old_number_is_taken():
    def card(number: int, where: str) -> dict[str, object]:
        name = f"USB Audio: - ({where})"
        return {"number": number, "name": name, "interface": "ALSA", "channels": 1, "rate": 48e3}

    assert bare_name("USB Audio: - (hw:1,0)") == "USB Audio: -"
    alike = [card(3, "hw:1,0"), card(4, "hw:2,0")]
    assert find(alike, "USB Audio: -", last=4)["number"] == 4
    with pytest.raises(NoDevice, match="give the number"):
        find(alike, "usb audio", last=9)
    with pytest.raises(NoDevice, match="no microphone on this machine"):
        find([], "usb audio")


async def test_without_portaudio_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What the real module does where its library is missing.
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await error_of(MicrophoneSource("mic", 0))
    assert "sudo apt-get install libportaudio2" in str(error)
    assert error.permanent
    with pytest.raises(SourceError, match="libportaudio2"):
        list_microphones()


async def test_a_driver_that_brings_the_process_down_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sounddevice.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "ended without an answer" in str(await error_of(MicrophoneSource("mic", 0)))


async def test_processes_that_cannot_be_ended_are_abandoned_and_no_more_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # A child of the driver keeps the pipe open, as a sound server that was started by it does.
    (tmp_path / "sounddevice.py").write_text(
        "import os, subprocess, time\n"
        "subprocess.Popen(['cat', os.environ['GATE']], stderr=subprocess.DEVNULL)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(microphone, "_KILL_S", 0.1)
    source = MicrophoneSource("mic", 0)
    gates = []
    for number in range(1, MOST_HANGING + 1):
        gate = tmp_path / f"gate{number}"
        os.mkfifo(gate)
        monkeypatch.setenv("GATE", str(gate))
        started = asyncio.ensure_future(anext(source.chunks()))
        gates.append(await asyncio.to_thread(gate.open, "wb"))  # as soon as the child reads it
        started.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([started])
        assert (source.counts.hanging, source.counts.abandoned) == (number, number)
    assert "4 processes hang in its driver" in str(await error_of(source))
    ending = list(source._ending)
    for each in gates:
        each.close()
    async with asyncio.timeout(10):
        await asyncio.wait(ending)
    assert source.counts.hanging == 0


async def test_where_no_process_can_be_started_it_says_so(monkeypatch: pytest.MonkeyPatch):
    async def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)
    error = await error_of(MicrophoneSource("mic", 0))
    assert "no process can be started to read it: Too many open files" in str(error)


class Watcher:
    """Listens to a supervised microphone, and waits for states."""

    def __init__(self, device: str) -> None:
        self.health: list[Health] = []
        self.chunks: list[Chunk] = []
        self.microphone = MicrophoneSource("mic", device)
        self.source = SupervisedSource(
            "mic",
            lambda: self.microphone,
            self.health.append,
            timeouts=SourceTimeouts(stall_s=1.5, connect_s=10),
            retry=RetryPolicy(first_s=0.2, longest_s=0.5),
        )

    async def run(self) -> None:
        async for chunk in self.source.chunks():
            self.chunks.append(chunk)

    async def until(self, *states: str, after: int = 0) -> int:
        async with asyncio.timeout(60):
            while True:
                for number, health in enumerate(self.health[after:], after + 1):
                    if health.state in states:
                        return number
                await asyncio.sleep(0.02)


@pytest.fixture
def room(
    tmp_path: Path, recording: tuple[Path, Sound], monkeypatch: pytest.MonkeyPatch
) -> Iterator[PulseAudio]:
    """A room in which the recording is played at the clock's pace."""
    with pulseaudio(tmp_path, recording[0]) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ALSA_CONFIG_PATH", str(server.config))
        yield server


@pytest.mark.usefixtures("room")
async def test_the_room_comes_at_16_khz_mono_with_the_times_of_the_clock(
    recording: tuple[Path, Sound],
):
    _, said = recording
    began = time.time()
    chunks = await listen(MicrophoneSource("mic", "room"), 5.0)
    took_s = time.time() - began
    assert began - 1 < chunks[0].captured_at
    assert chunks[-1].ends_at < time.time() + 0.1
    assert sum(len(chunk.samples) for chunk in chunks) / 16_000 < took_s + 1
    for one, other in itertools.pairwise(chunks):
        assert not other.gap
        assert other.captured_at == pytest.approx(one.ends_at, abs=0.01)
    # Whatever the moment, the recording is in it: three seconds of it at the least.
    recorded = np.concatenate([chunk.samples for chunk in chunks])[16_000:64_000]
    played = np.tile(said, 3)
    size = len(recorded) + len(played)
    product = np.fft.irfft(np.fft.rfft(played, size) * np.conj(np.fft.rfft(recorded, size)), size)
    assert product.max() > 0.9 * np.sum(np.square(recorded))
    assert np.abs(recorded).max() > 0.05
    assert not children()


async def test_a_card_that_is_pulled_out_and_put_in_again(
    room: PulseAudio, recording: tuple[Path, Sound]
):
    watcher = Watcher("room")
    listening = asyncio.ensure_future(watcher.run())
    seen = await watcher.until("live")
    room.stop()
    seen = await watcher.until("waiting", after=seen)
    before = len(watcher.chunks)
    room.start(recording[0])
    await watcher.until("live", after=seen)
    listening.cancel()
    await asyncio.wait([listening])
    assert watcher.chunks[before].gap
    assert watcher.chunks[before].captured_at > watcher.chunks[before - 1].captured_at
    assert not children()


@pytest.mark.usefixtures("room")
async def test_a_driver_that_hangs_is_a_stall_and_its_process_is_killed():
    watcher = Watcher("room")
    listening = asyncio.ensure_future(watcher.run())
    seen = await watcher.until("live")
    (hanging,) = children()
    os.kill(int(hanging), signal.SIGSTOP)
    seen = await watcher.until("stalled", after=seen)
    seen = await watcher.until("live", after=seen)
    assert hanging not in children()
    listening.cancel()
    await asyncio.wait([listening])
    assert not children()
