"""Round trips through the codecs that speech meets on its way: all in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import av
import numpy as np
import soundfile
import soxr

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Codec:
    """One way of coding: FFmpeg's encoder, its container, the rate it works at."""

    name: str
    encoder: str
    container: str
    rate_hz: int
    bit_rates: tuple[int, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


GSM: Final = "GSM610"
"""libsndfile's name of it: PyAV's FFmpeg decodes GSM 06.10 but cannot encode it."""

CODECS: Final = (
    Codec("mu-law", "pcm_mulaw", "wav", 8_000),
    Codec("a-law", "pcm_alaw", "wav", 8_000),
    Codec("gsm", GSM, "wav", 8_000),
    Codec("opus", "libopus", "ogg", 48_000, (16_000, 24_000, 32_000)),
    Codec("opus-low", "libopus", "ogg", 16_000, (6_000, 8_000, 12_000)),
    Codec("opus-narrow", "libopus", "ogg", 8_000, (6_000, 8_000, 12_000)),
    Codec("mp3", "libmp3lame", "mp3", 16_000, (16_000, 24_000, 32_000, 48_000)),
    Codec("mp3-wide", "libmp3lame", "mp3", 48_000, (32_000, 64_000)),
    Codec("aac", "aac", "adts", 16_000, (16_000, 24_000, 32_000)),
    Codec("adpcm", "adpcm_ima_wav", "wav", 8_000),
)
"""G.711, GSM 06.10, Opus as messengers and calls use it, MP3 and AAC as phones and
cameras record, IMA ADPCM as old recorders do. Those that this FFmpeg lacks are left
out by `available`."""


def available() -> tuple[Codec, ...]:
    """Those of `CODECS` that this build of FFmpeg has."""
    return tuple(
        codec for codec in CODECS if codec.encoder == GSM or codec.encoder in av.codecs_available
    )


def through(codec: Codec, samples: Sound, bit_rate: int | None = None) -> Sound:
    """Give back `samples` (`(n,)`, 16 kHz) as they come out of `codec`, `n` long again.

    The codec's delay is kept: it is a few milliseconds and happens in the world too.
    """
    sent = samples
    if codec.rate_hz != SAMPLE_RATE:
        sent = soxr.resample(samples, SAMPLE_RATE, codec.rate_hz, "LQ")
    received = _gsm(sent, codec.rate_hz) if codec.encoder == GSM else _ffmpeg(codec, sent, bit_rate)
    if len(received) < len(samples):
        received = np.pad(received, (0, len(samples) - len(received)))
    return received[: len(samples)].astype(np.float32)


def _gsm(sent: Sound, rate_hz: int) -> Sound:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sent, -1, 1), rate_hz, format="WAV", subtype=GSM)
    buffer.seek(0)
    back, _ = soundfile.read(buffer, dtype="float32")
    return np.asarray(soxr.resample(back, rate_hz, SAMPLE_RATE, "LQ"), np.float32)


def _ffmpeg(codec: Codec, sent: Sound, bit_rate: int | None) -> Sound:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container) as container:
        stream = container.add_stream(codec.encoder, rate=codec.rate_hz, options=_options(codec))
        stream.layout = "mono"  # type: ignore[attr-defined]
        if bit_rate or codec.bit_rates:
            stream.bit_rate = bit_rate or codec.bit_rates[0]
        pcm = (np.clip(sent, -1, 1) * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = codec.rate_hz
        converter = av.AudioResampler(
            format=stream.codec_context.format,  # type: ignore[attr-defined]
            layout="mono",
            rate=codec.rate_hz,
            frame_size=stream.codec_context.frame_size or 0,  # type: ignore[attr-defined]
        )
        for piece in (*converter.resample(frame), *converter.resample(None)):
            container.mux(stream.encode(piece))  # type: ignore[attr-defined]
        container.mux(stream.encode(None))  # type: ignore[attr-defined]
    buffer.seek(0)
    parts = []
    back = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(buffer, format=codec.container) as container:
        for decoded in container.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in back.resample(decoded)]
        parts += [piece.to_ndarray()[0] for piece in back.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _options(codec: Codec) -> dict[str, str]:
    if codec.encoder == "libopus":
        return {"compression_level": "1", "application": "voip", **codec.options}
    if codec.encoder == "libmp3lame":
        return {"compression_level": "9", **codec.options}
    return dict(codec.options)
