"""A whole Whisper of thin layers, with random weights and a few language tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = {"<|ru|>": 10, "<|en|>": 11, "<|tr|>": 12, "<|az|>": 13}


def write_tiny_whisper(directory: Path) -> Path:
    """Write it as the hub hands Whisper out; four encoder layers and one of the decoder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=4,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        classifier_proj_size=16,
        vocab_size=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    WhisperForConditionalGeneration(config).save_pretrained(directory)
    GenerationConfig(lang_to_id=TOKENS).save_pretrained(directory)
    return directory
