"""The trimmed forward is the stock model, run on less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from langidd.model.whisper.torch_engine import load_classifier
from langidd.model.whisper.torch_forward import classify
from langidd.model.whisper.torch_log_mel import LogMel
from tests.support.tiny_whisper import TOKENS, write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def _noise(seconds: float, seed: int = 0) -> npt.NDArray[np.float32]:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * 16_000))
    return (0.1 * samples).astype(np.float32)


@pytest.fixture(scope="module", params=[False, True], ids=["last layer", "weighted layers"])
def model_place(
    request: pytest.FixtureRequest, stock_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if not request.param:
        return stock_model
    model = AutoModelForAudioClassification.from_pretrained(
        stock_model, use_weighted_layer_sum=True
    )
    torch.nn.init.normal_(model.layer_weights)
    place = tmp_path_factory.mktemp("weighted")
    model.save_pretrained(place)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(place)
    return place


def test_padded_logits_are_those_of_transformers(model_place: Path) -> None:
    windows = [_noise(1.0), _noise(3.7, 1), _noise(30.0, 2)]
    stock = AutoModelForAudioClassification.from_pretrained(model_place)
    extractor = AutoFeatureExtractor.from_pretrained(model_place)
    features = extractor(windows, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        expected = stock(features).logits.numpy()

    ours = load_classifier(str(model_place), device="cpu").logits(windows)

    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1e-2, "the windows must differ for this to mean much"


def test_trimmed_to_all_positions_is_padded(model_place: Path) -> None:
    window = [_noise(30.0, 3)]
    padded = load_classifier(str(model_place), device="cpu", context="padded").logits(window)
    trimmed = load_classifier(str(model_place), device="cpu", context="trimmed").logits(window)
    np.testing.assert_allclose(trimmed, padded, atol=1e-4)


def test_a_window_gets_the_same_logits_in_any_company(model_place: Path) -> None:
    classifier = load_classifier(str(model_place), device="cpu", context="trimmed")
    windows = [_noise(seconds, seed) for seed, seconds in enumerate((1.0, 3.3, 4.0, 2.2, 0.03, 9))]
    together = classifier.logits(windows)
    alone = np.concatenate([classifier.logits([window]) for window in windows])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert classifier.logits([]).shape == (0, 3)


@pytest.mark.parametrize("mels", [80, 128])
def test_log_mel_is_that_of_the_feature_extractor(
    mels: int, conversation: npt.NDArray[np.float32]
) -> None:
    clips = np.stack([conversation[:64_000], conversation[160_000:224_000]])
    extractor = WhisperFeatureExtractor(feature_size=mels)
    expected = extractor(
        list(clips), sampling_rate=16_000, padding=False, truncation=False, return_tensors="np"
    ).input_features
    ours = LogMel(mels, torch.device("cpu"))(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_large_models_with_128_mel_bins_simply_work(tmp_path: Path, stock_model: Path) -> None:
    config = AutoModelForAudioClassification.from_pretrained(stock_model).config
    config.num_mel_bins = 128
    AutoModelForAudioClassification.from_config(config).save_pretrained(tmp_path)
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.logits([_noise(2.0)]).shape == (1, 3)


def test_masked_frames_do_not_reach_the_logits(stock_model: Path) -> None:
    model = AutoModelForAudioClassification.from_pretrained(stock_model).eval()
    features = torch.randn(1, 80, 200)
    longer = torch.cat([features, torch.full((1, 80, 100), 7.0)], dim=-1)
    with torch.inference_mode():
        alone = classify(model, features)
        masked = classify(model, longer, torch.tensor([200]))
    torch.testing.assert_close(masked, alone, atol=1e-5, rtol=1e-5)


def test_language_tokens_on_30_s_are_those_of_transformers(tmp_path: Path) -> None:
    place = write_tiny_whisper(tmp_path)
    windows = [_noise(1.0), _noise(3.7, 1)]
    stock = WhisperForConditionalGeneration.from_pretrained(place)
    features = WhisperFeatureExtractor(feature_size=80)(
        windows, sampling_rate=16_000, return_tensors="pt"
    ).input_features
    with torch.inference_mode():
        answer = stock(input_features=features, decoder_input_ids=torch.full((2, 1), 3))
    expected = answer.logits[:, 0, list(TOKENS.values())].numpy()

    engine = load_classifier(str(place), device="cpu")

    assert engine.labels == tuple(token.strip("<|>") for token in TOKENS)
    assert engine.context == "padded"
    np.testing.assert_allclose(engine.logits(windows), expected, atol=1e-4)


def test_language_tokens_of_windows_of_several_lengths_are_those_of_each_alone(
    tmp_path: Path,
) -> None:
    engine = load_classifier(str(write_tiny_whisper(tmp_path)), device="cpu", context="trimmed")
    windows = [_noise(0.9), _noise(1.0, 1), _noise(0.7, 2)]

    together = engine.logits(windows)

    alone = np.concatenate([engine.logits([window]) for window in windows])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-4
