"""The process that talks to PortAudio: `python -m langidd.audio.portaudio`.

Every microphone has one of its own. PortAudio sees a device that comes back only
after it was terminated and initialised again, which closes every stream of the
process; a driver that hangs cannot be interrupted, but a process can be killed; and
ALSA writes its own messages to standard error.

Called with `list`, it prints the input devices as JSON. Called with `read` and what
to look for (JSON: `device`, and `number`, where it was last), it writes to standard
output, for ever: a line of JSON with `number`, `name`, `rate` and `channels` (or
`error`), then blocks, each a `HEADER` and 32-bit floats, interleaved.
"""

from __future__ import annotations

import json
import os
import queue
import re
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct("<IdI")
"""Bytes that follow; monotonic time (s) when the last sample was captured; lost blocks before."""

_BLOCK_S: Final = 0.05
_QUEUED: Final = 100
"""Blocks kept while the reader is slow (5 s); later ones are lost and counted."""

_FULL_S: Final = 1.0

_MANY_CHANNELS: Final = 8
"""Sound servers offer 32 and more channels and fill in what is not there."""

_LIBRARY: Final = "the PortAudio library is missing; install it: sudo apt-get install libportaudio2"


class NoDevice(Exception):  # noqa: N818 - it is the answer, not a fault of ours
    """No device fits what was asked for; the text says which there are."""


def bare_name(name: str) -> str:
    """Return a device's name without ALSA's card number, which changes with every plugging in."""
    return re.sub(r"\s*\(hw:[^)]*\)$", "", name).strip()


def inputs(portaudio: Any) -> list[dict[str, Any]]:
    """Return PortAudio's devices that can record."""
    interfaces = portaudio.query_hostapis()
    return [
        {
            "number": number,
            "name": device["name"],
            "interface": interfaces[device["hostapi"]]["name"],
            "channels": device["max_input_channels"],
            "rate": device["default_samplerate"],
        }
        for number, device in enumerate(portaudio.query_devices())
        if device["max_input_channels"] > 0
    ]


def find(devices: list[dict[str, Any]], wanted: str, last: int | None = None) -> dict[str, Any]:
    """Return the device of that number, that name, or the only one with it in its name.

    Of several that fit, the one with the number `last` is taken, then those of the
    first host interface.

    Args:
        devices: What there is, as `inputs` gives it.
        wanted: A number, or a part of a name.
        last: The number that the device had before.

    Raises:
        NoDevice: none fits, or more than one.

    """
    if not devices:
        raise NoDevice("there is no microphone on this machine")
    low = wanted.strip().lower()
    if low.isdigit():
        fits = [device for device in devices if device["number"] == int(low)]
    else:
        fits = [
            device
            for device in devices
            if low in {device["name"].lower(), bare_name(device["name"]).lower()}
        ] or [device for device in devices if low in device["name"].lower()]
    there = ", ".join(f"{device['number']} {device['name']!r}" for device in devices)
    if not fits:
        raise NoDevice(f"there is no such microphone; there is {there}")
    fits = [device for device in fits if device["number"] == last] or fits
    fits = [device for device in fits if device["interface"] == fits[0]["interface"]]
    if len(fits) > 1:
        those = ", ".join(f"{device['number']} {device['name']!r}" for device in fits)
        raise NoDevice(f"more than one microphone fits: {those}; give the number")
    return fits[0]


def _formats(device: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Rates and channels to try, what the device itself prefers first."""
    most = device["channels"]
    channels = dict.fromkeys((most if most <= _MANY_CHANNELS else 2, 1, 2, most))
    for rate in dict.fromkeys((round(device["rate"]), 48_000, 44_100, 16_000)):
        for number in channels:
            if number <= most:
                yield rate, number


def _read(portaudio: Any, wanted: dict[str, Any]) -> str:
    """Send the device's sound to standard output; returns why it could not be opened."""
    device = find(inputs(portaudio), str(wanted["device"]), wanted.get("number"))
    blocks: queue.Queue[tuple[bytes, float, int] | None] = queue.Queue(_QUEUED)
    lost = 0

    def on_block(data: Any, frames: int, times: Any, status: Any) -> None:
        # PortAudio's own thread: copy, no more. It waits only where the queue is full, when
        # sound is about to be lost; a virtual card that is faster than the clock then waits too.
        nonlocal lost
        lost += bool(status.input_overflow)
        block_s = frames / rate
        age_s = times.currentTime - times.inputBufferAdcTime
        # The age of the block's first sample, where the driver knows it.
        late_s = age_s - block_s if block_s < age_s < block_s + 1 else 0.0
        try:
            blocks.put((bytes(data), time.monotonic() - late_s, lost), timeout=_FULL_S)
            lost = 0
        except queue.Full:
            lost += 1

    def ended() -> None:
        blocks.put(None)

    reason = ""
    for rate, channels in _formats(device):
        try:
            stream = portaudio.RawInputStream(
                samplerate=rate,
                channels=channels,
                dtype="float32",
                blocksize=round(rate * _BLOCK_S),
                device=device["number"],
                latency="high",
                callback=on_block,
                finished_callback=ended,
            )
            stream.start()
            break
        except portaudio.PortAudioError as error:
            reason = reason or str(error.args[0])
    else:
        return f"{device['name']!r} cannot be opened: {reason}"
    _say({"number": device["number"], "name": device["name"], "rate": rate, "channels": channels})
    out = sys.stdout.buffer
    while True:
        try:
            block = blocks.get(timeout=1)
        except queue.Empty:
            if not stream.active:
                break
            continue
        if block is None:
            break
        data, at, missing = block
        out.write(HEADER.pack(len(data), at, missing))
        out.write(data)
        out.flush()
    # A block of length 0: the device is gone.
    out.write(HEADER.pack(0, time.monotonic(), 0))
    out.flush()
    return ""


def _say(line: object) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def main(arguments: list[str]) -> None:
    """List the devices, or read one."""
    try:
        import sounddevice
    except OSError:
        _say({"error": _LIBRARY, "permanent": True})
        return
    except ImportError:
        _say({"error": "the Python package sounddevice is missing", "permanent": True})
        return
    try:
        if arguments[0] == "list":
            _say({"devices": inputs(sounddevice)})
            return
        problem = _read(sounddevice, json.loads(arguments[1]))
    except NoDevice as error:
        problem = str(error)
    except sounddevice.PortAudioError as error:
        problem = f"PortAudio: {error.args[0]}"
    except BrokenPipeError:
        # Nobody reads any more. Closing a stream of a lost device can hang.
        os._exit(0)
    if problem:
        _say({"error": problem, "permanent": False})


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
