"""Many channels to one, so that no channel that carries sound is cancelled or buried.

A plain sum cancels what two channels hold with opposite signs, and a plain mean buries
one live channel among dead ones. This mix looks at the sound alone, never at the name
of a channel: a layout is often nothing but a guess from the number of channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Weights = npt.NDArray[np.float64]

_BLOCK_S: Final = 0.02
"""Sound that is judged at once, and over which weights change."""

_EMPHASIS_S: Final = 0.00025
"""The difference over this time is judged: most of it is 1 to 3 kHz, and none an offset or hum."""

_CORRELATION_S: Final = 0.2
"""Time constant of the memory for signs."""

_LEVEL_S: Final = 1.0
"""Time constant with which a channel's peak level falls."""

_FLIP_GAIN: Final = 2.0
"""Signs change where the others give so many times the power: a correlation below -1/3."""

_DEAD: Final = 0.003
"""The level, beside the loudest channel's, at which a channel gets half its weight: -50 dB."""


class Downmix:
    """Mixes the channels of one stream; it keeps its state from push to push.

    The mix is a weighted sum. Each weight has the sign that makes the channels add up
    instead of cancelling, all have the same size except those of dead channels, and the
    sum of levels is scaled to the loudest one's. So equal channels, a pair of opposite
    signs, and one channel among silent ones come out sample for sample.

    Sound is judged in blocks of 20 ms, counted from the first sample, so the answer does
    not depend on how the sound was cut; up to a block is held back until more comes.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.channels = channels
        self._rate = rate
        self._block = max(1, round(rate * _BLOCK_S))
        self._delay = max(1, round(rate * _EMPHASIS_S))
        self._rest: Samples = np.empty((channels, 0), dtype=np.float32)
        self._before: Samples | None = None
        self._power: Weights = np.zeros((channels, channels))
        self._levels: Weights = np.zeros(channels)
        self._signs: Weights = np.ones(channels)
        self._weights: Weights | None = None

    @property
    def held_s(self) -> float:
        """Seconds of sound that are held back until more comes."""
        held: int = self._rest.shape[1]
        return held / self._rate

    def push(self, samples: Samples) -> Samples:
        """Mix more sound.

        Args:
            samples: `(channels, n) float32` within ±1, of one rate.

        Returns:
            `(m,) float32` within ±1, whole blocks; may be empty.

        """
        if self.channels == 1:
            mono: Samples = samples[0]
            return mono
        joined = np.concatenate([self._rest, samples], axis=1)
        whole = joined.shape[1] // self._block * self._block
        self._rest = joined[:, whole:].copy()
        return self._mixed(joined[:, :whole])

    def flush(self) -> Samples:
        """Mix what is held back; more may be pushed afterwards."""
        rest, self._rest = self._rest, self._rest[:, :0]
        return self._mixed(rest)

    def _mixed(self, samples: Samples) -> Samples:
        blocks = range(0, samples.shape[1], self._block)
        mixed = [self._mix(samples[:, at : at + self._block]) for at in blocks]
        return np.concatenate(mixed) if mixed else np.empty(0, dtype=np.float32)

    def _mix(self, block: Samples) -> Samples:
        """Mix one block; the weights go from the last block's to its own."""
        before = self._weights
        after = self._judge(block)
        length = block.shape[1]
        if before is None or np.array_equal(before, after):
            mixed = after @ block  # in float64, which keeps equal channels exact
        else:
            share = np.arange(1, length + 1) / length
            mixed = before @ block + share * ((after - before) @ block)
        return np.clip(mixed, -1, 1).astype(np.float32)

    def _judge(self, block: Samples) -> Weights:
        length = block.shape[1]
        first = np.repeat(block[:, :1], self._delay, axis=1)
        joined = np.concatenate([first if self._before is None else self._before, block], axis=1)
        self._before = joined[:, -self._delay :]
        speech = (joined[:, self._delay :] - joined[:, : -self._delay]).astype(np.float64)
        power = speech @ speech.T
        seconds = length / self._rate
        self._power = self._power * np.exp(-seconds / _CORRELATION_S) + power
        level = np.sqrt(np.diag(power) / length)
        self._levels = np.maximum(level, self._levels * np.exp(-seconds / _LEVEL_S))
        loudest = self._levels.max()
        if not loudest:
            # Digital silence: the first sound decides, without a transition from here.
            return np.full(self.channels, 1 / self.channels)
        self._choose_signs()
        relative = self._levels / loudest
        alive = relative / (relative + _DEAD)
        self._weights = self._signs * alive / (alive @ relative)
        return self._weights

    def _choose_signs(self) -> None:
        """Take the signs that give more power, where they give much more."""
        signed = self._power * np.outer(self._signs, self._signs)
        if signed.min() >= 0:
            return
        # The signs of the leading eigenvector: the channels' common part adds up.
        signs = np.where(np.linalg.eigh(self._power)[1][:, -1] < 0, -1.0, 1.0)
        kept = signs * self._signs * self._levels
        kept[np.argmax(self._levels > 0)] *= 1.01  # of two equal channels the first keeps its sign
        signs *= 1 if kept.sum() >= 0 else -1
        if signs @ self._power @ signs > _FLIP_GAIN * signed.sum():
            self._signs = signs
