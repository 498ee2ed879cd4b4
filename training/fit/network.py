"""The network that is trained: Whisper's encoder and its decoder's first step.

It starts as all that a Whisper knows: its own encoder, its own decoder, and of its vocabulary
start of transcript and the languages. It runs on the speech that is there (trimmed context).
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import WhisperConfig, WhisperForConditionalGeneration

from langidd.errors import ConfigError
from langidd.model.whisper.architecture import Architecture
from langidd.model.whisper.checkpoint import open_checkpoint
from langidd.model.whisper.location import locate
from langidd.model.whisper.torch_forward import Whisper
from langidd.model.whisper.torch_log_mel import LogMel
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

EMBEDDINGS: Final = "model.decoder.embed_tokens.weight"
_LAYER: Final = re.compile(r"model\.(encoder|decoder)\.layers\.(\d+)\.(.*)")
LEAST_CONTEXT_S: Final = 1.5
"""Shorter windows are filled up with silence to this, in training and in service."""

_START: Final = 0
"""The token of start of transcript once the vocabulary is reduced; the languages follow it."""


class LanguageWhisper(WhisperForConditionalGeneration):  # type: ignore[misc]
    """A whole Whisper that is asked for one token, of a vocabulary of languages alone.

    Weights and names are those of `WhisperForConditionalGeneration`.
    """

    def forward(self, samples: torch.Tensor, **_: Any) -> torch.Tensor:
        """Score sounds of one length.

        Args:
            samples: `(batch, n) float32` at 16 kHz, n a multiple of 320.

        Returns:
            Logits `(batch, languages)`, the languages in the order of `languages_of`.

        """
        device = samples.device
        missing = round(LEAST_CONTEXT_S * SAMPLE_RATE) - samples.shape[1]
        if missing > 0:
            samples = torch.nn.functional.pad(samples, (0, missing))
        if getattr(self, "_filters", None) is None or self._filters[0] != device:
            self._filters = (device, LogMel(self.config.num_mel_bins, device))
        features = self._filters[1](samples)
        own = {name.removeprefix("model."): value for name, value in self.named_parameters()}
        architecture = Architecture.from_config(
            "in training", self.config.to_dict(), "language_tokens"
        )
        # Fused attention is slow backwards on a CPU: written out it takes half the time.
        slow = self.training and device.type == "cpu"
        with sdpa_kernel(SDPBackend.MATH) if slow else nullcontext():
            return Whisper(architecture, own).logits(features)


def languages_of(network: LanguageWhisper) -> tuple[str, ...]:
    """Return the languages in the order of the logits."""
    return tuple(network.config.langidd["languages"])


def open_network(
    checkpoint: str,
    first: Sequence[str] = (),
    *,
    encoder_layers: int | None = None,
    decoder_layers: int | None = None,
) -> LanguageWhisper:
    """Open a whole Whisper and reduce its vocabulary to its languages.

    Args:
        checkpoint: A hub name, a directory, or a bundled model: a stock Whisper of any size, or
            one that was reduced before.
        first: The languages that come first. One that Whisper has no token for begins as the
            mean of all.
        encoder_layers: Keep so many, evenly spaced; None: all.
        decoder_layers: The same of the decoder.

    Raises:
        ConfigError: The checkpoint has no decoder.
        ModelError: The checkpoint cannot be used.

    """
    found = open_checkpoint(checkpoint)
    if found.architecture.head != "language_tokens":
        raise ConfigError(
            f"model {checkpoint}: is a classifier without a decoder; this recipe starts from a "
            "whole Whisper (openai/whisper-base)"
        )
    labels = found.calibration.labels
    order = [*first, *(language for language in labels if language not in first)]
    config = WhisperConfig.from_pretrained(locate(checkpoint))
    kept = {
        "encoder": _spaced(config.encoder_layers, encoder_layers),
        "decoder": _spaced(config.decoder_layers, decoder_layers),
    }
    config.encoder_layers, config.decoder_layers = len(kept["encoder"]), len(kept["decoder"])
    _reduce(config, order, first)

    weights = {}
    for own_name, array in found.tensors.items():
        name, value = f"model.{own_name}", torch.from_numpy(array)
        match = _LAYER.fullmatch(name)
        if match is None:
            weights[name] = value
        elif int(match[2]) in kept[match[1]]:
            place = kept[match[1]].index(int(match[2]))
            weights[f"model.{match[1]}.layers.{place}.{match[3]}"] = value
    start, *rows = weights[EMBEDDINGS]  # already reduced to start and languages
    by_label = dict(zip(labels, rows, strict=True))
    mean = torch.stack(rows).mean(dim=0)
    weights[EMBEDDINGS] = torch.stack([start, *(by_label.get(label, mean) for label in order)])
    network = LanguageWhisper(config)
    network.load_state_dict(weights, strict=False)
    network.tie_weights()
    return network.eval()


def freeze(network: LanguageWhisper, encoder_layers: int) -> None:
    """Keep the convolutions, the positions and the lowest layers of the encoder as they are.

    So are queries and keys of the decoder's self-attention: they have no effect on one token.
    """
    encoder = network.model.encoder
    kept = [encoder.conv1, encoder.conv2, encoder.embed_positions, *encoder.layers[:encoder_layers]]
    for layer in network.model.decoder.layers:
        kept += [layer.self_attn.q_proj, layer.self_attn.k_proj]
    for module in kept:
        module.requires_grad_(requires_grad=False)


def _reduce(config: WhisperConfig, languages: Sequence[str], first: Sequence[str]) -> None:
    """Leave start of transcript and the languages of the vocabulary, in one position."""
    config.vocab_size = 1 + len(languages)
    config.max_target_positions = 1
    config.decoder_start_token_id = config.pad_token_id = _START
    config.bos_token_id = config.eos_token_id = _START
    config.suppress_tokens = config.begin_suppress_tokens = config.forced_decoder_ids = None
    config.tie_word_embeddings = True
    config.use_cache = False
    config.architectures = ["WhisperForConditionalGeneration"]
    config.langidd = {
        "format": 2,
        "head": "language_tokens",
        "context": "trimmed",
        "languages": list(languages),
        "candidates": list(first),
        "least_context_s": LEAST_CONTEXT_S,
        "temperature": [[1.0, 1.0]],
        "und_threshold": 0.5,
    }


def _spaced(total: int, wanted: int | None) -> list[int]:
    """Layers that are kept: the last, and others evenly spaced down to the first."""
    if wanted is None or wanted >= total:
        return list(range(total))
    if wanted == 1:
        return [total - 1]
    return [round(number * (total - 1) / (wanted - 1)) for number in range(wanted)]
