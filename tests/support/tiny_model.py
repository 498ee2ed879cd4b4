"""A checkpoint of random weights, so small that faults and not arithmetic are what is tested."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_tiny_model(place: Path) -> Path:
    """Save a stock `WhisperForAudioClassification` that runs on what is there (trimmed)."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

    torch.manual_seed(0)
    config = WhisperConfig(
        num_mel_bins=80,
        d_model=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        vocab_size=100,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        classifier_proj_size=16,
        id2label={0: "uz", 1: "ru", 2: "en"},
        label2id={"uz": 0, "ru": 1, "en": 2},
        init_std=0.2,
    )
    place.mkdir(parents=True, exist_ok=True)
    WhisperForAudioClassification(config).save_pretrained(place)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(place)
    path = place / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "langidd": {"context": "trimmed"}}))
    return place
