"""The classifier in training: a stock Whisper one that also takes short features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import WhisperConfig, WhisperForAudioClassification
from transformers.modeling_outputs import SequenceClassifierOutput

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class TrainingOutput(SequenceClassifierOutput):  # type: ignore[misc]
    """What the model says, and what its heads for training say."""

    finer: torch.Tensor | None = None
    taught: torch.Tensor | None = None


class TrimmedWhisper(WhisperForAudioClassification):  # type: ignore[misc]
    """A `WhisperForAudioClassification` whose encoder runs on the frames there are.

    The weights and the configuration are the stock ones, and so is what comes out for
    3,000 frames; for fewer the position embeddings are sliced and the mean goes over
    the positions that exist.
    """

    def forward(
        self, input_features: torch.Tensor, labels: torch.Tensor | None = None, **_: Any
    ) -> TrainingOutput:
        """`(b, 80, frames)`, frames even, to logits `(b, labels)`."""
        hidden = nn.functional.gelu(self.encoder.conv1(input_features))
        hidden = nn.functional.gelu(self.encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.encoder.embed_positions.weight[: hidden.shape[1]]
        states = [hidden]
        for layer in self.encoder.layers:
            hidden = layer(hidden, None)
            states.append(hidden)
        states[-1] = self.encoder.layer_norm(hidden)
        if self.config.use_weighted_layer_sum:
            weights = nn.functional.softmax(self.layer_weights, dim=-1)
            hidden = torch.stack(states, dim=1).mul(weights.view(1, -1, 1, 1)).sum(dim=1)
        else:
            hidden = states[-1]
        pooled = self.projector(hidden).mean(dim=1)
        logits = self.classifier(pooled)
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return TrainingOutput(
            loss=loss,
            logits=logits,
            finer=self.finer(pooled) if hasattr(self, "finer") else None,
            taught=self.taught(pooled) if hasattr(self, "taught") else None,
        )

    def add_training_heads(self, *, locales: int = 0, taught: int = 0) -> None:
        """Add heads that only training needs, on the same pooled features.

        `finer` tells every locale apart, so that `other` cannot be learned as "a
        recording of that kind"; `taught` is to say what the teacher says.
        """
        width = self.config.classifier_proj_size
        if locales:
            self.finer = nn.Linear(width, locales)
        if taught:
            self.taught = nn.Linear(width, taught)

    def stock_state(self) -> dict[str, torch.Tensor]:
        """Give the weights of the stock model, without what only training needs."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith(("finer.", "taught."))
        }


def fresh_model(
    checkpoint: str,
    labels: Sequence[str],
    *,
    layers: int | None = None,
    weighted_layer_sum: bool = False,
    dropout: float = 0.0,
) -> TrimmedWhisper:
    """Take any Whisper checkpoint's encoder (its first `layers`), with a new head."""
    config = WhisperConfig.from_pretrained(checkpoint)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.use_weighted_layer_sum = weighted_layer_sum
    config.dropout = dropout
    config.architectures = ["WhisperForAudioClassification"]
    if layers is not None:
        config.encoder_layers = min(layers, config.encoder_layers)
        config.num_hidden_layers = config.encoder_layers
    # torch's fused attention for CPUs is the slower one in bfloat16: a step of short windows
    # takes a fifth longer with it (AMD EPYC, torch 2.13).
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    return TrimmedWhisper.from_pretrained(
        checkpoint, config=config, dtype=torch.float32, attn_implementation=attention
    )


def parameter_groups(
    model: TrimmedWhisper,
    *,
    head_lr: float,
    top_lr: float,
    layer_decay: float,
    frozen_layers: int,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Optimiser groups: each lower layer learns `layer_decay` times as fast.

    The convolutions, the position embeddings and the lowest `frozen_layers` stay as
    they were: what is low in the encoder is sound, not language, and the few corpora
    at hand would teach it their microphones.
    """
    rates: dict[str, float] = {}
    top = model.config.encoder_layers
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.layers."):
            layer = int(name.split(".")[2])
            rate = 0.0 if layer < frozen_layers else top_lr * layer_decay ** (top - 1 - layer)
        elif name.startswith("encoder.layer_norm"):
            rate = top_lr
        elif name.startswith("encoder."):
            rate = 0.0
        else:
            rate = head_lr
        parameter.requires_grad_(rate > 0)
        rates[name] = rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if rates[name] > 0:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates[name], decay), []).append(parameter)
    return [
        {"params": found, "lr": rate, "weight_decay": decay}
        for (rate, decay), found in groups.items()
    ]
