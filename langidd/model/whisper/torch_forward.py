"""The forward pass of a `WhisperForAudioClassification` on audio of any length.

transformers runs the encoder on 30 s and nothing else. Here it runs on the frames
that are there: the position embeddings are sliced, and where clips of several lengths
share a batch, the shorter ones are masked so exactly that each gets the logits it
would get alone. On 1,500 positions it is the stock model, layer for layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from langidd.model.whisper.torch_log_mel import FRAMES_PER_POSITION

if TYPE_CHECKING:
    from transformers import WhisperForAudioClassification


def classify(
    model: WhisperForAudioClassification,
    features: torch.Tensor,
    frames: torch.Tensor | None = None,
) -> torch.Tensor:
    """Logits of log-mel clips.

    features: `(batch, mels, frames)`, an even number of frames, at most 3,000 for a
    stock model. frames: `(batch,) int64`, how many of them are real in each clip (even
    numbers); None where all are. Returns `(batch, labels)` in the model's precision.
    """
    encoder = model.encoder
    frame_mask = position_mask = attention_mask = None
    if frames is not None:
        within = torch.arange(features.shape[-1], device=features.device)[None] < frames[:, None]
        frame_mask = within[:, None, :].to(features.dtype)
        position_mask = within[:, ::FRAMES_PER_POSITION]
        attention_mask = position_mask[:, None, None, :]
        features = features * frame_mask

    hidden = functional.gelu(encoder.conv1(features))
    if frame_mask is not None:
        # What the second convolution sees past a clip's end is then its own zero padding.
        hidden = hidden * frame_mask
    hidden = functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]

    weighted = bool(model.config.use_weighted_layer_sum)
    states = [hidden]
    for layer in encoder.layers:
        hidden = layer(hidden, attention_mask)
        if weighted:
            states.append(hidden)
    hidden = encoder.layer_norm(hidden)
    if weighted:
        states[-1] = hidden
        weights = functional.softmax(model.layer_weights, dim=-1)
        hidden = (torch.stack(states, dim=1) * weights.view(-1, 1, 1)).sum(dim=1)

    hidden = model.projector(hidden)
    if position_mask is None:
        pooled = hidden.mean(dim=1)
    else:
        kept = position_mask[..., None].to(hidden.dtype)
        pooled = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
    logits: torch.Tensor = model.classifier(pooled)
    return logits
