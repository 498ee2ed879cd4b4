"""What a recording's container says of its beginning and its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av
import av.format

if TYPE_CHECKING:
    from pathlib import Path

_LATEST_S: Final = 86_400.0
"""Stamps that begin later are those of a clock, and the recording begins with the first."""

_STATED: Final = frozenset({"mov", "wav", "flac", "aiff", "au", "caf", "asf"})
"""Formats that state the length of each track. What FFmpeg says of others may be a guess."""

_VBR_HEADERS: Final = (b"Xing", b"Info", b"VBRI")
"""One of them states how many frames an MP3 has; without it the length is a guess."""

_HEAD_BYTES: Final = 1 << 18


def origin_of(container: av.container.InputContainer) -> float:
    """Return the stamp, in seconds, that is a recording's beginning.

    Most formats count from 0, and a track that sets in later has a later stamp. Broadcast
    and live formats (MPEG-TS, Ogg) begin anywhere: there it is the first of all stamps.
    """
    first_s = (container.start_time or 0) / av.time_base
    anywhere = bool(av.format.Flags(container.format.flags) & av.format.Flags.ts_discont)
    return first_s if anywhere or first_s > _LATEST_S else 0.0


def length_of(
    container: av.container.InputContainer, stream: av.AudioStream, path: Path
) -> float | None:
    """Return where a track ends by what its container states; None where it states nothing.

    Args:
        container: What was opened.
        stream: The audio track.
        path: The file, which is looked into where FFmpeg does not say if it guesses.

    """
    kinds = set(container.format.name.split(","))
    if "matroska" in kinds:
        length_s = _seconds(stream.metadata.get("DURATION", ""))
        if length_s is not None:
            return length_s
    if kinds & {"matroska", "flv"}:
        # The whole container's: a picture may go on where the sound has ended.
        alone = len(container.streams) == 1 and container.duration is not None
        return (container.duration or 0) / av.time_base if alone else None
    stated = kinds & _STATED or ("mp3" in kinds and _has_vbr_header(path))
    if not stated or stream.duration is None or stream.time_base is None:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base)


def _has_vbr_header(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return any(header in head for header in _VBR_HEADERS)


def _seconds(text: str) -> float | None:
    """`00:00:51.016000000`, as Matroska's tags have it."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def clock_text(seconds: float) -> str:
    """Return `0:31` or `1:02:03`."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"
