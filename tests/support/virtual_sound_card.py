"""Microphones that are not there: ALSA's file plugin, and PulseAudio's null sink."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tests.conftest import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

SYSTEM = "</usr/share/alsa/alsa.conf>\n"


def alsa_microphones(path: Path, names: list[str], recording: Path) -> None:
    """Write an ALSA configuration with those devices, in that order.

    Each reads the recording (48 kHz, stereo, 16 bits, raw) as fast as it is asked.
    """
    # ALSA sorts nothing: PortAudio numbers the devices as they stand here.
    devices = [
        f"""
pcm.'{name}' {{ type plug slave {{ pcm feed{number} format S16_LE rate 48000 channels 2 }}
    hint {{ show on description "{name}" }} }}"""
        for number, name in enumerate(names)
    ]
    feeds = [
        f"""
pcm.feed{number} {{ type file slave.pcm nothing file /dev/null infile "{recording}" format raw }}"""
        for number in range(len(names))
    ]
    path.write_text(SYSTEM + "".join(devices + feeds) + "\npcm.nothing { type null }\n")


def raw_stereo(path: Path, sound: npt.NDArray[np.float32]) -> None:
    """Write 16 kHz mono as 48 kHz stereo, raw, 16 bits."""
    stereo = np.repeat(np.repeat(sound, 3), 2)
    path.write_bytes((stereo * 32_767).astype("<i2").tobytes())


class PulseAudio:
    """A sound server of the test's own, with a null sink whose monitor is a microphone."""

    def __init__(self, place: Path) -> None:
        require("pulseaudio")
        require("portaudio")
        self.place = place
        self.socket = place / "native"
        self.environment = {
            "HOME": str(place),
            "XDG_RUNTIME_DIR": str(place),
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_COOKIE": str(place / "cookie"),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.player: subprocess.Popen[bytes] | None = None
        self.config = place / "asound.conf"
        self.config.write_text(
            SYSTEM + 'pcm.room { type pulse device "room.monitor"'
            ' hint { show on description "Room" } }\n'
        )

    def start(self, recording: Path) -> None:
        """Start the server, and play the raw recording in it over and over."""
        self.socket.unlink(missing_ok=True)
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"),
                *("--use-pid-file=no", "--log-target=null"),
                *("-L", f"module-native-protocol-unix socket={self.socket} auth-anonymous=1"),
                *("-L", "module-null-sink sink_name=room rate=48000 channels=2"),
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while subprocess.run(
            ["pactl", "info"], env=environment, capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline, "PulseAudio did not start"
            time.sleep(0.05)
        play = "pacat --playback --device=room --rate=48000 --channels=2 --format=s16le"
        self.player = subprocess.Popen(
            ["sh", "-c", f'while cat "$0"; do :; done | exec {play}', str(recording)],
            env=environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Kill it, as a card is pulled out."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.player is not None:
            self.player.wait(timeout=30)  # its pipe is broken now


@contextmanager
def pulseaudio(place: Path, recording: Path) -> Iterator[PulseAudio]:
    """A running one."""
    server = PulseAudio(place)
    server.start(recording)
    try:
        yield server
    finally:
        server.stop()
