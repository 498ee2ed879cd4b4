"""The forward pass of a Whisper on audio of any length, with either of its heads.

transformers runs the encoder on 30 s and nothing else. Here it runs on the frames
that are there: the position embeddings are sliced, and where clips of several lengths
share a batch, the shorter ones are masked so exactly that each gets the logits it
would get alone. On 1,500 positions it is the stock model, layer for layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from langidd.model.whisper.torch_log_mel import FRAMES_PER_POSITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import WhisperForAudioClassification, WhisperForConditionalGeneration


def classify(
    model: WhisperForAudioClassification,
    features: torch.Tensor,
    frames: torch.Tensor | None = None,
) -> torch.Tensor:
    """Score log-mel spectrograms with a classification head.

    Args:
        model: Projector, mean over the positions, classifier.
        features: `(batch, mels, frames)`, an even number of frames, at most 3,000 for a
            stock model.
        frames: `(batch,) int64`, how many of them are real in each clip (even numbers);
            None where all are.

    Returns:
        Logits `(batch, labels)` in the model's precision.

    """
    weighted = bool(model.config.use_weighted_layer_sum)
    states, positions = _encoder_states(model.encoder, features, frames, every_layer=weighted)
    hidden = states[-1]
    if weighted:
        weights = functional.softmax(model.layer_weights, dim=-1)
        hidden = (torch.stack(states, dim=1) * weights.view(-1, 1, 1)).sum(dim=1)
    hidden = model.projector(hidden)
    if positions is None:
        pooled = hidden.mean(dim=1)
    else:
        kept = positions[..., None].to(hidden.dtype)
        pooled = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
    logits: torch.Tensor = model.classifier(pooled)
    return logits


def language_logits(
    model: WhisperForConditionalGeneration,
    features: torch.Tensor,
    frames: torch.Tensor | None = None,
    *,
    start: int = 0,
    languages: slice | Sequence[int] = slice(1, None),
) -> torch.Tensor:
    """Score log-mel spectrograms with the language tokens: the decoder's first step.

    The first token after `<|startoftranscript|>` names the language (Radford et al., Robust
    Speech Recognition via Large-Scale Weak Supervision, 2022).

    Args:
        model: A whole Whisper.
        features: As for `classify`.
        frames: As for `classify`.
        start: The token of start of transcript.
        languages: The tokens of the languages. As it is set, all that follow the first.

    Returns:
        Logits `(batch, languages)` in the model's precision.

    """
    states, positions = _encoder_states(model.model.encoder, features, frames)
    mask = None if positions is None else positions[:, None, None, :]
    decoder: Any = model.model.decoder
    embeddings = decoder.embed_tokens.weight
    first = embeddings[start] + decoder.embed_positions.weight[0]
    token = first.expand(len(features), 1, -1)
    for layer in decoder.layers:
        token = layer(
            token, None, encoder_hidden_states=states[-1], encoder_attention_mask=mask,
            use_cache=False,
        )  # fmt: skip
    logits: torch.Tensor = decoder.layer_norm(token)[:, 0] @ embeddings[languages].T
    return logits


def _encoder_states(
    encoder: Any,
    features: torch.Tensor,
    frames: torch.Tensor | None,
    *,
    every_layer: bool = False,
) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    """Run the encoder; returns the last state (or all layers'), and which positions are real.

    States are `(batch, positions, width)`, the positions `(batch, positions) bool` or None.
    """
    frame_mask = positions = attention_mask = None
    if frames is not None:
        within = torch.arange(features.shape[-1], device=features.device)[None] < frames[:, None]
        frame_mask = within[:, None, :].to(features.dtype)
        positions = within[:, ::FRAMES_PER_POSITION]
        attention_mask = positions[:, None, None, :]
        features = features * frame_mask

    hidden = functional.gelu(encoder.conv1(features))
    if frame_mask is not None:
        # What the second convolution sees past a clip's end is then its own zero padding.
        hidden = hidden * frame_mask
    hidden = functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]

    states = [hidden]
    for layer in encoder.layers:
        hidden = layer(hidden, attention_mask)
        if every_layer:
            states.append(hidden)
    last = encoder.layer_norm(hidden)
    return ([*states[:-1], last] if every_layer else [last]), positions
