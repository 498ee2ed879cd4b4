"""Whisper's log-mel spectrogram, computed in batches on any device.

The numbers are those of OpenAI's Whisper (`whisper/audio.py`) and of the
`WhisperFeatureExtractor` of transformers, against which the tests compare it.
"""

from __future__ import annotations

from typing import Final

import torch
from transformers.audio_utils import mel_filter_bank

from langidd.types import SAMPLE_RATE

FFT_SAMPLES: Final = 400
"""25 ms: the length of one spectrum."""

HOP_SAMPLES: Final = 160
"""10 ms: from one log-mel frame to the next."""

FRAMES_PER_POSITION: Final = 2
"""The encoder's second convolution has a stride of two."""

SAMPLES_PER_POSITION: Final = HOP_SAMPLES * FRAMES_PER_POSITION
"""20 ms: what one encoder position stands for."""

DYNAMIC_RANGE: Final = 8.0
"""Powers of ten below a clip's loudest bin at which its spectrum is cut off."""


class LogMel:
    """The filters for one number of mel bins, on one device."""

    def __init__(self, mels: int, device: torch.device) -> None:
        filters = mel_filter_bank(
            num_frequency_bins=1 + FFT_SAMPLES // 2,
            num_mel_filters=mels,
            min_frequency=0.0,
            max_frequency=SAMPLE_RATE / 2,
            sampling_rate=SAMPLE_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        self._filters = torch.from_numpy(filters.T.copy()).to(device, torch.float32)
        self._hann = torch.hann_window(FFT_SAMPLES, device=device)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Log-mel of clips of one length.

        samples: `(batch, n) float32`, n a multiple of 160 and above 200.
        Returns `(batch, mels, n / 160) float32`, each clip scaled by its own maximum.
        """
        spectrum = torch.stft(
            samples, FFT_SAMPLES, HOP_SAMPLES, window=self._hann, return_complex=True
        )
        power = spectrum[..., :-1].abs().square()
        logarithm = (self._filters @ power).clamp(min=1e-10).log10()
        loudest = logarithm.amax(dim=(1, 2), keepdim=True)
        scaled: torch.Tensor = (torch.maximum(logarithm, loudest - DYNAMIC_RANGE) + 4.0) / 4.0
        return scaled
