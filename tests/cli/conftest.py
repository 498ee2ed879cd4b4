"""A short recording for the command line."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

EXCERPT_S = 9


def wave_file(path: Path, samples: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples)
    return path


@pytest.fixture(scope="session")
def excerpt(
    conversation: npt.NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The recording's first seconds, 16-bit."""
    samples = (conversation[: 16_000 * EXCERPT_S] * 32_767).astype("<i2")
    return wave_file(tmp_path_factory.mktemp("excerpt") / "excerpt.wav", samples.tobytes())
