"""Whisper's log-mel, for a batch of equally long sounds, in torch."""

from __future__ import annotations

from functools import cache
from typing import Final

import torch

HOP: Final = 160
FFT: Final = 400
PADDED_SAMPLES: Final = 480_000


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """`(batch, n) float32` at 16 kHz to `(batch, 80, n // 160) float32`.

    It is computed on the samples' device. The formula is that of
    `transformers.WhisperFeatureExtractor`: power of a Hann STFT, 80
    Slaney mel bands, log10 not more than 8 below the sound's highest, (x + 4) / 4.
    """
    window, filters = (table.to(samples.device) for table in _tables())
    spectrum = torch.stft(samples, FFT, HOP, window=window, return_complex=True)
    mel = filters @ (spectrum[..., :-1].abs() ** 2)
    log = mel.clamp(min=1e-10).log10()
    log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
    return (log + 4.0) / 4.0


def masked(features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """SpecAugment (Park et al., 2019): bands and spans set to the sound's mean.

    Two bands of up to 12 of the 80, and spans of up to a tenth of the time, so that
    short windows keep most of what was said.
    """
    batch, bins, frames = features.shape
    result = features.clone()

    def draw(high: int) -> int:
        return int(torch.randint(0, max(high, 1), (1,), generator=generator))

    for row in range(batch):
        fill = features[row].mean()
        for _ in range(2):
            width = draw(13)
            start = draw(bins - width)
            result[row, start : start + width] = fill
        width = draw(max(2, frames // 10))
        start = draw(frames - width)
        result[row, :, start : start + width] = fill
    return result


@cache
def _tables() -> tuple[torch.Tensor, torch.Tensor]:
    from transformers import WhisperFeatureExtractor

    filters = WhisperFeatureExtractor(feature_size=80).mel_filters
    return torch.hann_window(FFT), torch.from_numpy(filters.T).float()
