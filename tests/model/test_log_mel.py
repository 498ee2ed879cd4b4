"""The log-mel spectrogram is Whisper's, however it is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from langidd.model.whisper import log_mel
from langidd.model.whisper.torch_forward import frames_within
from langidd.model.whisper.torch_log_mel import LogMel

if TYPE_CHECKING:
    import numpy.typing as npt


@pytest.mark.parametrize("mels", [80, 128])
def test_it_is_that_of_the_feature_extractor(
    mels: int, conversation: npt.NDArray[np.float32]
) -> None:
    clips = np.stack([conversation[:64_000], conversation[160_000:224_000]])
    extractor = WhisperFeatureExtractor(feature_size=mels)
    expected = extractor(
        list(clips), sampling_rate=16_000, padding=False, truncation=False, return_tensors="np"
    ).input_features
    np.testing.assert_allclose(log_mel.log_mel(clips, mels), expected, atol=1e-4)
    in_torch = LogMel(mels, torch.device("cpu"))(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(in_torch, expected, atol=1e-4)


def test_on_a_device_a_shorter_window_is_as_exact(conversation: npt.NDArray[np.float32]) -> None:
    samples, frames = conversation[:16_000], 100
    mirrored = np.zeros((2, 32_400), np.float32)
    mirrored[0, :16_400] = np.pad(samples, 200, mode="reflect")
    mirrored[1] = np.pad(conversation[:32_000], 200, mode="reflect")
    within = frames_within(torch.tensor([frames, 200]), 200)
    found = LogMel(80, torch.device("cpu")).of_mirrored(torch.from_numpy(mirrored), within).numpy()
    expected = log_mel.log_mel(samples[None], 80)[0]
    np.testing.assert_allclose(found[0, :, :frames], expected, atol=1e-4)
    assert not found[0, :, frames:].any()


def test_silence_and_full_scale_are_that_of_the_feature_extractor() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    click = np.zeros(32_000)
    click[16_000] = 1.0
    clips = np.stack([np.zeros(32_000), tone, click]).astype(np.float32)
    expected = WhisperFeatureExtractor(feature_size=80)(
        list(clips), sampling_rate=16_000, padding=False, truncation=False, return_tensors="np"
    ).input_features
    np.testing.assert_allclose(log_mel.log_mel(clips, 80), expected, atol=1e-4)


@pytest.mark.parametrize("mels", [80, 128])
def test_filters_are_those_of_the_feature_extractor(mels: int) -> None:
    expected = WhisperFeatureExtractor(feature_size=mels).mel_filters
    np.testing.assert_allclose(log_mel.mel_filters(mels), expected, atol=1e-7)


def test_frames_inside_a_window_are_those_of_the_stream_around_it(
    conversation: npt.NDArray[np.float32],
) -> None:
    start, size = 48_000, 32_000
    window = log_mel.log_powers(conversation[None, start : start + size], 80)
    around = conversation[None, start - log_mel.EDGE_SAMPLES : start + size + 8_000]
    stream = log_mel.inner_log_powers(around, 80)
    inside = slice(2, size // log_mel.HOP_SAMPLES - 1)
    np.testing.assert_array_equal(window[..., inside], stream[..., inside])
    assert not np.array_equal(window[..., :2], stream[..., :2]), "the edges are mirrored"
