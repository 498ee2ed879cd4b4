"""The shape of a Whisper: its dimensions, and the tensors that a head of it needs.

Names and shapes are those of transformers' `WhisperForAudioClassification` and
`WhisperForConditionalGeneration`, without the latter's leading `model.`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

Head = Literal["classification", "language_tokens"]
"""`classification`: projector, mean over positions, classifier. `language_tokens`: the decoder's
first step on start of transcript, and the rows of its embeddings that name languages."""

CONVOLUTION: Final = 3
"""The width of both convolutions."""

EMBEDDING: Final = "decoder.embed_tokens.weight"
EMBEDDING_POSITIONS: Final = "decoder.embed_positions.weight"
LAYER_WEIGHTS: Final = "layer_weights"
CLASSIFIER: Final = "classifier.weight"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The dimensions of a Whisper and the head that it is run with."""

    head: Head
    mels: int
    positions: int
    width: int
    encoder_layers: int
    encoder_heads: int
    encoder_inner: int
    decoder_layers: int
    decoder_heads: int
    decoder_inner: int
    decoder_positions: int
    vocabulary: int
    projected: int
    weighted_layers: bool

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any], head: Head) -> Architecture:
        """Take the dimensions from the contents of `config.json`.

        Args:
            name: What errors call the model.
            config: As transformers writes it for a Whisper.
            head: Which head the model is run with.

        Raises:
            ModelError: A dimension is missing or makes no sense.

        """

        def dimension(key: str, default: int | None = None) -> int:
            value = config.get(key, default)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(
                    f"model {name}: config.json: {key} is {value!r}, not a whole number above 0"
                )
            return value

        activation = config.get("activation_function", "gelu")
        if activation != "gelu":
            raise ModelError(
                f"model {name}: config.json: activation_function is {activation!r}; every Whisper "
                "has gelu"
            )
        found = cls(
            head=head,
            mels=dimension("num_mel_bins", 80),
            positions=dimension("max_source_positions", 1500),
            width=dimension("d_model"),
            encoder_layers=dimension("encoder_layers"),
            encoder_heads=dimension("encoder_attention_heads"),
            encoder_inner=dimension("encoder_ffn_dim"),
            decoder_layers=dimension("decoder_layers"),
            decoder_heads=dimension("decoder_attention_heads"),
            decoder_inner=dimension("decoder_ffn_dim"),
            decoder_positions=dimension("max_target_positions", 448),
            vocabulary=dimension("vocab_size", 51_865),
            projected=dimension("classifier_proj_size", 256),
            weighted_layers=config.get("use_weighted_layer_sum") is True,
        )
        for heads in (found.encoder_heads, found.decoder_heads):
            if found.width % heads:
                raise ModelError(
                    f"model {name}: config.json: d_model {found.width} cannot be divided by "
                    f"{heads} attention heads"
                )
        return found


def required_tensors(architecture: Architecture, labels: int) -> dict[str, Shape]:
    """The shape of every tensor that a head needs, by name."""
    width = architecture.width
    needed: dict[str, Shape] = {
        "encoder.conv1.weight": (width, architecture.mels, CONVOLUTION),
        "encoder.conv1.bias": (width,),
        "encoder.conv2.weight": (width, width, CONVOLUTION),
        "encoder.conv2.bias": (width,),
        "encoder.embed_positions.weight": (architecture.positions, width),
        **_norm("encoder.layer_norm", width),
    }
    for layer in range(architecture.encoder_layers):
        prefix = f"encoder.layers.{layer}"
        needed |= _attention(f"{prefix}.self_attn", width, "qkvo")
        needed |= _norm(f"{prefix}.self_attn_layer_norm", width)
        needed |= _feed_forward(prefix, width, architecture.encoder_inner)
    if architecture.head == "classification":
        needed |= _linear("projector", width, architecture.projected)
        needed |= _linear("classifier", architecture.projected, labels)
        if architecture.weighted_layers:
            needed[LAYER_WEIGHTS] = (architecture.encoder_layers + 1,)
        return needed
    needed[EMBEDDING] = (architecture.vocabulary, width)
    needed[EMBEDDING_POSITIONS] = (architecture.decoder_positions, width)
    needed |= _norm("decoder.layer_norm", width)
    for layer in range(architecture.decoder_layers):
        prefix = f"decoder.layers.{layer}"
        # A single token attends to itself alone: its queries and keys change nothing.
        needed |= _attention(f"{prefix}.self_attn", width, "vo")
        needed |= _norm(f"{prefix}.self_attn_layer_norm", width)
        needed |= _attention(f"{prefix}.encoder_attn", width, "qkvo")
        needed |= _norm(f"{prefix}.encoder_attn_layer_norm", width)
        needed |= _feed_forward(prefix, width, architecture.decoder_inner)
    return needed


def window_flops(architecture: Architecture, positions: int, labels: int) -> float:
    """The arithmetic that one window costs, two operations for a multiplication and addition.

    As langidd computes it: the token head's keys and values are not made for all positions.
    Only matrix products count.
    """
    width, mels = architecture.width, architecture.mels
    products = 2 * positions * CONVOLUTION * mels * width + positions * CONVOLUTION * width**2
    layer = 4 * width**2 + 2 * width * architecture.encoder_inner + 2 * positions * width
    products += architecture.encoder_layers * positions * layer
    if architecture.head == "classification":
        products += positions * width * architecture.projected + architecture.projected * labels
    else:
        step = 6 * width**2 + 2 * width * architecture.decoder_inner
        pooling = 2 * architecture.decoder_heads * positions * width
        products += architecture.decoder_layers * (step + pooling) + width * labels
    return 2.0 * products


def _attention(prefix: str, width: int, which: str) -> dict[str, Shape]:
    names = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    found: dict[str, Shape] = {}
    for letter in which:
        found |= _linear(f"{prefix}.{names[letter]}", width, width)
        if letter == "k":
            del found[f"{prefix}.{names[letter]}.bias"]
    return found


def _feed_forward(prefix: str, width: int, inner: int) -> dict[str, Shape]:
    return {
        **_norm(f"{prefix}.final_layer_norm", width),
        **_linear(f"{prefix}.fc1", width, inner),
        **_linear(f"{prefix}.fc2", inner, width),
    }


def _norm(prefix: str, width: int) -> dict[str, Shape]:
    return {f"{prefix}.weight": (width,), f"{prefix}.bias": (width,)}


def _linear(prefix: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{prefix}.weight": (outputs, inputs), f"{prefix}.bias": (outputs,)}
