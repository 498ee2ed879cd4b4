"""Which of several audio tracks is taken, and its sound."""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import av
import av.stream
import numpy as np

from langidd.audio.base import one_line
from langidd.audio.decoding import Decoder, Piece
from langidd.audio.track_languages import same_language
from langidd.types import SAMPLE_RATE, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langidd.audio.base import SourceCounts

_log = logging.getLogger(__name__)

_SILENT: Final = 1e-3
"""Digital silence varies by less from peak to peak: A-law's zero, dither, a codec's noise."""

_WAIT_S: Final = 20.0
"""Sound of a recording after which a silent first track is left for another one."""

_LIVE_WAIT_S: Final = 3.0
"""The same of a live stream, which must not seem to be stalled."""

_INTERLEAVED_S: Final = 1.0
"""Packets of several tracks lie in a file, or arrive, out of the order of time by less."""

_SAME_S: Final = 1e-4
"""Sums of times that are the same differ by less."""


@dataclass(slots=True)
class _Track:
    """An audio track that may be taken."""

    number: int
    stream: av.AudioStream
    decoder: Decoder
    has_sound: bool = False
    decoded_s: float = 0.0
    ends_at_s: float | None = None
    held: deque[tuple[Piece, float]] = field(default_factory=deque)
    """Sound that was not given so far, and when it starts by its stamps."""

    @property
    def is_default(self) -> bool:
        return bool(self.stream.disposition & av.stream.Disposition.default)

    @property
    def language(self) -> str:
        tag = self.stream.metadata.get("language", "")
        return "" if tag == UNCERTAIN else tag

    def __str__(self) -> str:
        title = self.stream.metadata.get("title", "")
        words = [self.language, one_line(title), "default" if self.is_default else ""]
        said = ", ".join(word for word in words if word)
        return f"{self.number} ({said})" if said else str(self.number)

    def decode(
        self, packet: av.Packet[av.AudioStream] | None, arrived_at: float
    ) -> Iterator[Piece]:
        for piece in self.decoder.decode(packet, arrived_at):
            duration_s = len(piece.samples) / SAMPLE_RATE
            if self.ends_at_s is None:
                self.ends_at_s = self.decoder.starts_at_s or 0.0
            starts_at_s = self.ends_at_s + piece.lost_s
            self.ends_at_s = starts_at_s + duration_s
            self.decoded_s += duration_s
            if not self.has_sound and len(piece.samples):
                self.has_sound = bool(np.ptp(piece.samples) > _SILENT)
            self.held.append((replace(piece, arrived_at=arrived_at), starts_at_s))
            yield piece


class TrackReader:
    """The sound of one of a container's audio tracks.

    `wanted` chooses it. Otherwise the default-flagged ones come first and then the others
    in their order, and the first of these with sound is taken. Until it is known which
    has sound, all are decoded and held, for some seconds at most; no sound is lost. Where
    all are silent for so long, the first one is given, until another one gets sound.

    Args:
        container: What was opened.
        counts: Where damage is counted.
        wanted: A track's number, from 0, or its language tag; None for the rule above.
        name: The source's name, for the log.
        live: Whether sound must be given at once.
        origin_s: The stamp that is the recording's beginning: sound that sets in later
            has a hole before it. None where sound is dated by its arrival.

    Attributes:
        decoded: Samples decoded so far, 16 kHz, of any of the tracks.
        chosen: Which track is taken and which are left, in words; "" where there is one.

    Raises:
        ValueError: there is no such track; the text says what there is.

    """

    def __init__(
        self,
        container: av.container.InputContainer,
        counts: SourceCounts,
        wanted: int | str | None = None,
        *,
        name: str,
        live: bool = False,
        origin_s: float | None = None,
    ) -> None:
        self.decoded = 0
        self.chosen = ""
        self._name = name
        self._wait_s = _LIVE_WAIT_S if live else _WAIT_S
        self._given_to_s = origin_s
        self._all = _tracks(container, counts, live=live)
        candidates = self._all if wanted is None else [_wanted(self._all, wanted)]
        # A stable sort: those that are alike stay in their order.
        self._tracks = sorted(candidates, key=lambda track: not track.is_default)
        self._taken: _Track | None = None
        if len(self._tracks) == 1:
            self._take(self._tracks[0], level=logging.INFO)

    @property
    def stream(self) -> av.AudioStream:
        """The track that is taken, or would be."""
        return self._tracks[0].stream

    @property
    def ends_at_s(self) -> float:
        """Where the sound decoded so far ends, by its stamps."""
        return self._tracks[0].decoder.ends_at_s

    def decode(self, packet: av.Packet[av.AudioStream], arrived_at: float = 0.0) -> Iterator[Piece]:
        """Decode a packet of any stream; those of tracks that are not taken give nothing.

        Args:
            packet: As it was read.
            arrived_at: `time.monotonic()` when it was read, which its pieces carry.

        """
        for track in self._tracks:
            if track.stream.index == packet.stream_index:
                for piece in track.decode(packet, arrived_at):
                    self.decoded += len(piece.samples)
                yield from self._choose()
                return

    def flush(self) -> Iterator[Piece]:
        """Give what the decoders hold; nothing follows."""
        for track in self._tracks:
            for piece in track.decode(None, 0.0):
                self.decoded += len(piece.samples)
        self._wait_s = 0.0
        yield from self._choose()
        yield from self._give(self._tracks[0])

    def _choose(self) -> Iterator[Piece]:
        """Take a track as soon as it is known which; gives its sound."""
        first = self._tracks[0]
        if len(self._tracks) == 1:
            yield from self._give(first)
            return
        sounding = next((track for track in self._tracks if track.has_sound), None)
        waited = max(track.decoded_s for track in self._tracks) >= self._wait_s
        if sounding is not None and (waited or sounding is first):
            if self._taken is not None and sounding.held:
                yield from self._give(first, until_s=sounding.held[0][1])
            self._tracks = [sounding]
            self._take(sounding, level=logging.WARNING)
            yield from self._give(sounding)
        elif waited:
            self._take(first, level=logging.WARNING)
            # Another track may get sound that was captured before what was read last.
            yield from self._give(first, until_s=(first.ends_at_s or 0.0) - _INTERLEAVED_S)
            for track in self._tracks[1:]:
                while track.held and track.held[0][1] < (self._given_to_s or 0.0):
                    track.held.popleft()

    def _give(self, track: _Track, *, until_s: float = math.inf) -> Iterator[Piece]:
        while track.held:
            piece, starts_at_s = track.held[0]
            ends_at_s = starts_at_s + len(piece.samples) / SAMPLE_RATE
            if ends_at_s > until_s:
                return
            track.held.popleft()
            lost_s = piece.lost_s
            if self._given_to_s is not None:
                # Also the hole before the first sound, and from one track to another.
                lost_s = starts_at_s - self._given_to_s
            self._given_to_s = ends_at_s
            yield replace(piece, lost_s=lost_s if lost_s > _SAME_S else 0.0)

    def _take(self, taken: _Track, *, level: int) -> None:
        if taken is self._taken:
            return
        self._taken = taken
        left = ", ".join(str(track) for track in self._all if track is not taken)
        if left:
            self.chosen = f"audio track {taken}; left: {left}"
            _log.log(level, "%s: takes %s; `track` chooses another", self._name, self.chosen)


def _tracks(
    container: av.container.InputContainer, counts: SourceCounts, *, live: bool
) -> list[_Track]:
    if not container.streams.audio:
        kinds = ", ".join(sorted({stream.type for stream in container.streams}))
        raise ValueError(f"has no audio track (only {kinds or 'no tracks'})")
    tracks = [
        _Track(number, stream, Decoder(stream, counts, live=live))
        for number, stream in enumerate(container.streams.audio)
        if stream.codec_context is not None
    ]
    if not tracks:
        raise ValueError("has sound in a codec that FFmpeg does not know")
    return tracks


def _wanted(tracks: list[_Track], wanted: int | str) -> _Track:
    for track in tracks:
        if str(track.number) == str(wanted) or same_language(track.language, str(wanted)):
            return track
    there = ", ".join(map(str, tracks))
    raise ValueError(f"has no audio track {wanted}; there is {there}")
