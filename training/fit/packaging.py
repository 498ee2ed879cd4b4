"""A trained model as a checkpoint that anyone can load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

from langidd_training.data.corpus import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


def package(
    config: WhisperConfig, weights: Mapping[str, torch.Tensor], directory: Path, *, context: str
) -> None:
    """Write a stock `WhisperForAudioClassification`: fp16 safetensors and its settings.

    `weights` are the stock model's, without what only training needs. `config.json`
    says under `langidd` what `langidd` must know; `calibrate` fills in its numbers.
    """
    config = WhisperConfig.from_dict(config.to_dict())
    config.architectures = ["WhisperForAudioClassification"]
    config.dropout = 0.0
    labels = [config.id2label[index] for index in range(config.num_labels)]
    config.langidd = {
        "format": 1,
        "context": context,
        "unknown_labels": [label for label in labels if label == OTHER],
        "temperature": [[1.0, 1.0]],
        "und_threshold": 0.5,
    }
    config.dtype = "float16"
    stock = WhisperForAudioClassification(config)
    stock.load_state_dict(dict(weights))
    stock.half().save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)  # safetensors lets only its owner read it
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(directory)
