"""Any audio file to 16 kHz mono, and where in it somebody speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av
import numpy as np
import webrtcvad

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

AUDIO_SUFFIXES: Final = frozenset(
    {".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".mkv"}
)
"""What is taken for a recording in a directory."""

FRAME: Final = SAMPLE_RATE * 30 // 1000
QUIET_DB: Final = 40.0
"""A frame this far below the clip's loudest is no speech, whatever the VAD says."""

SILENT_PEAK: Final = 33  # of 32,768: −60 dBFS


def decode(path: Path) -> npt.NDArray[np.int16]:
    """`(n,) int16` at 16 kHz, mono.

    Raises:
        OSError, av.FFmpegError: not there, or not audio.

    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts: list[npt.NDArray[np.int16]] = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise OSError(f"{path}: no audio stream")
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def recordings_of(places: Iterable[Path]) -> list[npt.NDArray[np.float32]]:
    """Decode recordings, and all those in directories.

    Args:
        places: Files, directories, and patterns of files (`noise/rain_*`).

    Returns:
        Each `(n,) float32` at 16 kHz within ±1.

    Raises:
        ConfigError: One cannot be decoded, or a directory holds none.

    """
    sounds = []
    for place in places:
        if place.is_dir():
            found = [file for file in place.iterdir() if file.suffix in AUDIO_SUFFIXES]
        elif "*" in place.name:
            found = list(place.parent.glob(place.name))
        else:
            found = [place]
        files = sorted(found)
        if not files:
            raise ConfigError(f"{place}: there is no recording in it")
        for file in files:
            try:
                sounds.append(decode(file).astype(np.float32) / np.float32(32_768))
            except (OSError, av.FFmpegError) as error:
                raise ConfigError(f"{file}: cannot be decoded: {error}") from error
    return sounds


def speech_mask(
    samples: npt.NDArray[np.int16],
    *,
    aggressiveness: int = 2,
    min_silence_s: float = 0.4,
    lead_in_s: float = 0.15,
    min_run_s: float = 0.09,
) -> npt.NDArray[np.bool_]:
    """For each 30 ms frame, whether it is speech or close beside it.

    WebRTC's VAD over the clip brought to −3 dBFS, and not `QUIET_DB` below the
    loudest frame; runs shorter than `min_run_s` do not count. The minimum silence is the
    daemon's, so that what is kept is what the daemon would pass on.
    """
    frames = len(samples) // FRAME
    if frames == 0:
        return np.zeros(0, bool)
    peak = int(np.abs(samples.astype(np.int32)).max())
    loud = (samples[: frames * FRAME].astype(np.float32) * (23_000 / max(peak, 1))).astype(np.int16)
    blocks = loud.reshape(frames, FRAME)
    level_db = 10 * np.log10((blocks.astype(np.float32) ** 2).mean(axis=1) + 1.0)
    vad = webrtcvad.Vad(aggressiveness)
    speech = np.array([vad.is_speech(block.tobytes(), SAMPLE_RATE) for block in blocks])
    speech &= level_db > level_db.max() - QUIET_DB
    speech = _without_short_runs(speech, round(min_run_s * SAMPLE_RATE / FRAME))
    before, after = (round(s * SAMPLE_RATE / FRAME) for s in (lead_in_s, min_silence_s))
    return np.convolve(speech, np.ones(before + after + 1), "full")[before : before + frames] > 0


def only_speech(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The samples where `speech_mask` says so, joined: long pauses and the ends go."""
    mask = speech_mask(samples)
    kept = np.repeat(mask, FRAME)
    return samples[: len(kept)][kept]


def spoken_s(samples: npt.NDArray[np.int16]) -> float:
    """Seconds in which somebody speaks, without what is kept around them."""
    return float(speech_mask(samples, min_silence_s=0, lead_in_s=0).sum()) * FRAME / SAMPLE_RATE


def _without_short_runs(mask: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    kept = np.zeros_like(mask)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= shortest:
            kept[start:end] = True
    return kept
