"""A whole Whisper of thin layers, with random weights and a few language tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = {"<|ru|>": 10, "<|en|>": 11, "<|tr|>": 12, "<|az|>": 13, "<|uz|>": 14}


def write_tiny_whisper(directory: Path, *, d_model: int = 32, mels: int = 80) -> Path:
    """Write it as the hub hands Whisper out; four encoder layers and one of the decoder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        num_mel_bins=mels,
        d_model=d_model,
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
        init_std=0.2,
    )
    WhisperForConditionalGeneration(config).save_pretrained(directory)
    GenerationConfig(lang_to_id=TOKENS).save_pretrained(directory)
    return directory
