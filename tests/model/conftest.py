"""Whisper as transformers has it, to hold langidd's own code against."""

from __future__ import annotations

import csv
import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    Windows = list[npt.NDArray[np.float32]]
    StockLogits = Callable[[Path, Windows, float], npt.NDArray[np.float32]]

LANGUAGES = ["en", "zh", "de", "es", "ru", "uz"]


@pytest.fixture(scope="session")
def token_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Whisper of random weights whose vocabulary is start of transcript and languages."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    torch.manual_seed(1)
    config = WhisperConfig(
        num_mel_bins=80,
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=96,
        max_target_positions=1,
        vocab_size=1 + len(LANGUAGES),
        decoder_start_token_id=0,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        init_std=0.2,
    )
    place = tmp_path_factory.mktemp("tokens")
    WhisperForConditionalGeneration(config).save_pretrained(place)
    (place / "generation_config.json").unlink(missing_ok=True)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(place)
    block = {"format": 2, "head": "language_tokens", "languages": LANGUAGES}
    content = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**content, "langidd": block}))
    return place


@pytest.fixture(scope="session")
def stock_logits() -> StockLogits:
    """The logits that transformers' own classes give windows in a context of some seconds.

    A context other than 30 s is had by saying so in the configuration and by keeping the first
    position embeddings only.
    """
    return _stock_logits


def _stock_logits(place: Path, windows: Windows, context_s: float) -> npt.NDArray[np.float32]:
    import torch
    from transformers import (
        WhisperFeatureExtractor,
        WhisperForAudioClassification,
        WhisperForConditionalGeneration,
    )

    config = json.loads((place / "config.json").read_text())
    tokens = config.get("langidd", {}).get("languages")
    whole = "WhisperForConditionalGeneration" in config["architectures"]
    kind = WhisperForConditionalGeneration if whole else WhisperForAudioClassification
    model = kind.from_pretrained(place, dtype=torch.float32).eval()
    positions = round(context_s * 50)
    encoder = model.model.encoder if whole else model.encoder
    encoder.config.max_source_positions = positions
    kept = encoder.embed_positions.weight[:positions]
    encoder.embed_positions = torch.nn.Embedding.from_pretrained(kept)
    extractor = WhisperFeatureExtractor(feature_size=config["num_mel_bins"])
    features = np.concatenate(
        [
            extractor(
                np.pad(window, (0, round(context_s * 16_000) - len(window))),
                sampling_rate=16_000,
                padding=False,
                truncation=False,
                return_tensors="np",
            ).input_features
            for window in windows
        ]
    )
    start = config.get("decoder_start_token_id")
    languages = range(start + 1, start + 1 + len(tokens or range(99)))
    rows = []
    with torch.inference_mode():
        for batch in torch.from_numpy(features).split(32):
            if whole:
                begin = torch.full((len(batch), 1), start)
                found = model(batch, decoder_input_ids=begin).logits[:, 0, list(languages)]
            else:
                found = model(batch).logits
            rows.append(found.numpy())
    return np.concatenate(rows)


@pytest.fixture(scope="session")
def real_windows(speech: Path) -> Callable[[int, float], Windows]:
    """So many windows of real speech of so many seconds, of all languages alike."""
    return lambda count, seconds: _real_windows(speech, count, seconds)


def _real_windows(speech: Path, count: int, seconds: float) -> Windows:
    import soundfile
    import soxr

    size = round(seconds * 16_000)
    by_language = []
    for language in ("uz", "ru", "en", "other"):
        with (speech / language / "dev.tsv").open(encoding="utf-8") as table:
            rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
        np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
        by_language.append((language, rows))

    def windows(language: str, rows: list[dict[str, str]]) -> Windows:
        found: Windows = []
        for row in rows:
            sound, rate = soundfile.read(
                speech / language / "clips" / row["path"], dtype="float32", always_2d=True
            )
            samples = soxr.resample(sound.mean(axis=1), rate, 16_000)
            found += [samples[first : first + size] for first in range(0, len(samples), size)]
            found = [window for window in found if len(window) == size]
            if len(found) >= count // 2:
                break
        return found

    sorted_windows = [windows(*each) for each in by_language]
    mixed = [window for group in itertools.zip_longest(*sorted_windows) for window in group]
    return [window for window in mixed if window is not None][:count]
