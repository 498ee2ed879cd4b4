"""Whisper's log-mel spectrogram in torch, for batches on any device.

It is that of `log_mel`, which says where the numbers come from.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from langidd.model.whisper.log_mel import (
    DYNAMIC_RANGE,
    EDGE_SAMPLES,
    FFT_SAMPLES,
    HOP_SAMPLES,
    POWER_FLOOR,
    mel_filters,
)


class LogMel:
    """The filters for one number of mel bins, on one device."""

    def __init__(self, mels: int, device: torch.device) -> None:
        """Put the filters on the device.

        Args:
            mels: The number of mel bins: 80, or 128 for large-v3.
            device: Where spectrograms are computed.

        """
        self._filters = torch.from_numpy(mel_filters(mels).T.copy()).to(device)
        self._hann = torch.hann_window(FFT_SAMPLES, device=device)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Compute the log-mel spectrogram of clips of one length.

        Args:
            samples: `(batch, n) float32` at 16 kHz; n is a multiple of 160 and above 200.

        Returns:
            `(batch, mels, n / 160) float32`, each clip relative to its own maximum.

        """
        edges = (EDGE_SAMPLES, EDGE_SAMPLES)
        return self.of_mirrored(functional.pad(samples, edges, mode="reflect"))

    def of_mirrored(
        self, samples: torch.Tensor, within: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute it of clips whose sound is mirrored at both ends already.

        Args:
            samples: `(batch, 200 + n + 200) float32`; a shorter clip's mirrored end comes
                right after it.
            within: `(batch, 1, n / 160) bool`, which frames are there; None: all.

        Returns:
            `(batch, mels, n / 160) float32`; 0 where no frame is there.

        """
        spectrum = torch.stft(
            samples, FFT_SAMPLES, HOP_SAMPLES, window=self._hann, center=False, return_complex=True
        )
        # Whisper leaves out the frame that is centred on the end.
        powers = self._filters @ spectrum[..., :-1].abs().square()
        if within is not None:
            powers = powers * within
        logarithm = powers.clamp(min=POWER_FLOOR).log10()
        loudest = logarithm.amax(dim=(1, 2), keepdim=True)
        scaled: torch.Tensor = (torch.maximum(logarithm, loudest - DYNAMIC_RANGE) + 4.0) / 4.0
        return scaled if within is None else scaled * within
