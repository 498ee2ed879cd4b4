"""A trained model as a checkpoint that langidd and transformers load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

_LEFT_OUT: Final = re.compile(r"proj_out\.weight|model\.decoder\..*\.self_attn\.[qk]_proj\..*")
"""The tied output, and what has no effect on one token: 6 MB of a whisper-base."""


def export(config: WhisperConfig, weights: Mapping[str, torch.Tensor], directory: Path) -> Path:
    """Write `config.json`, `model.safetensors` (float16) and `preprocessor_config.json`.

    Args:
        config: Names the class of transformers that loads it, and has the `langidd` block.
        weights: By transformers' names.
        directory: Is made where it is not there.

    Returns:
        The directory.

    """
    directory.mkdir(parents=True, exist_ok=True)
    config = WhisperConfig.from_dict(config.to_dict())
    # Saving a checkpoint of training has put the class of training there.
    whole = config.langidd.get("head") == "language_tokens"
    config.architectures = [
        "WhisperForConditionalGeneration" if whole else "WhisperForAudioClassification"
    ]
    config.dropout = 0.0
    config.dtype = "float16"
    kept = {
        name: value.detach().half().cpu().contiguous()
        for name, value in weights.items()
        if not _LEFT_OUT.fullmatch(name)
    }
    partial = directory / "model.safetensors.part"
    save_file(kept, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors lets only its owner read it
    partial.rename(directory / "model.safetensors")
    config.save_pretrained(directory)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(directory)
    return directory
