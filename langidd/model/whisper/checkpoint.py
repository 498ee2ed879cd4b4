"""Opening a Whisper checkpoint, for any engine.

Plain code reads `config.json` and safetensors. Whatever is wrong with a checkpoint is said in
one line before anything listens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from langidd.errors import ModelError
from langidd.model.whisper.architecture import (
    CLASSIFIER,
    EMBEDDING,
    EMBEDDING_POSITIONS,
    Architecture,
    Head,
    required_tensors,
)
from langidd.model.whisper.labels import class_labels, head_labels, language_tokens, read_json
from langidd.model.whisper.location import locate
from langidd.model.whisper.tensors import Tensors
from langidd.types import Calibration, Temperatures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from langidd.model.whisper.labels import Tokens

Context = Literal["padded", "trimmed"]
"""Whether windows are filled up to the encoder's 30 s, as stock checkpoints need it."""

HEAD_WEIGHT: Final = "langidd.head.weight"
HEAD_BIAS: Final = "langidd.head.bias"

CONTEXT_S: Final = 30.0
"""Whisper's own context."""

NEWEST_FORMAT: Final = 2
"""Of the `langidd` block. 1: calibration and context; 2: heads and languages as well."""

_SHOWN: Final = 3
"""So many missing tensors name the fault."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's numbers, and what its configuration says of their use.

    `tensors` holds float32 by the names of `required_tensors`. Of the token embeddings there
    are only start of transcript and the languages, of the token positions only the first.
    """

    name: str
    architecture: Architecture
    tensors: Mapping[str, npt.NDArray[np.float32]]
    calibration: Calibration
    context: Context
    least_context_s: float = 0.0
    """Shorter windows are filled up with silence to this, as the model was trained."""


def open_checkpoint(name: str) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        name: A bundled model, a directory, or a repository on the Hugging Face hub.

    Raises:
        ModelError: It is not there, is damaged, or is no model that langidd can run.

    """
    folder = locate(name)
    config = _read_config(name, folder)
    block = _own_block(name, config)
    tensors = Tensors(name, folder)
    head = _head(name, block, tensors)
    architecture = Architecture.from_config(name, config, head)
    tokens = language_tokens(name, config, block, folder) if head == "language_tokens" else None
    if tokens is None:
        labels = class_labels(name, config)
    elif HEAD_WEIGHT in tensors:
        labels = head_labels(name, block, tokens)
    else:
        labels = tuple(tokens.languages)
    calibration, context = _settings(name, block, labels)
    return Checkpoint(
        name=name,
        architecture=architecture,
        tensors=_read(name, tensors, architecture, labels, tokens),
        calibration=calibration,
        context=context,
        least_context_s=_least_context_s(name, block),
    )


def _read_config(name: str, folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"model {name}: the directory has no config.json")
    config = read_json(name, path)
    kind = config.get("model_type")
    if kind != "whisper":
        raise ModelError(
            f"model {name}: is a {kind or 'model of unknown kind'}; langidd needs a Whisper"
        )
    return config


def _own_block(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The `langidd` block of config.json; a stock checkpoint has none."""
    block = config.get("langidd", {})
    if not isinstance(block, dict):
        raise ModelError(f"model {name}: the langidd block of config.json is no object")
    version = block.get("format", 1)
    if version not in range(1, NEWEST_FORMAT + 1):
        raise ModelError(
            f"model {name}: the langidd block of config.json has format {version!r}; this langidd "
            f"knows 1 to {NEWEST_FORMAT}: update it"
        )
    return block


def _head(name: str, block: Mapping[str, Any], tensors: Tensors) -> Head:
    whole = EMBEDDING in tensors and CLASSIFIER not in tensors
    named = block.get("head", "language_tokens" if whole else "classification")
    if named == "classification":
        return "classification"
    if named == "language_tokens":
        return "language_tokens"
    raise ModelError(
        f"model {name}: the langidd block of config.json: head is {named!r}, not classification "
        "or language_tokens"
    )


def _settings(
    name: str, block: Mapping[str, Any], labels: tuple[str, ...]
) -> tuple[Calibration, Context]:
    try:
        context = block.get("context", "padded")
        if context not in ("padded", "trimmed"):
            raise ValueError(f"context is {context!r}, not padded or trimmed")
        unknown = tuple(str(label) for label in block.get("unknown_labels", ()))
        strangers = set(unknown) - set(labels)
        if strangers:
            raise ValueError(f"unknown_labels names {', '.join(sorted(strangers))}, no label of it")
        calibration = Calibration(
            labels=labels,
            unknown=unknown or tuple(label for label in labels if label in {"other", "unknown"}),
            temperatures=_temperatures(block.get("temperature") or [[1.0, 1.0]]),
            unknown_temperatures=_temperatures(block.get("unknown_temperature", [])),
            und_threshold=float(block.get("und_threshold", 0.5)),
            candidates=_candidates(block, labels),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"model {name}: the langidd block of config.json: {error}") from error
    return calibration, context


def _candidates(block: Mapping[str, Any], labels: tuple[str, ...]) -> tuple[str, ...]:
    candidates = tuple(str(label) for label in block.get("candidates", ()))
    strangers = set(candidates) - set(labels)
    if strangers:
        raise ValueError(f"candidates names {', '.join(sorted(strangers))}, no label of it")
    return candidates


def _least_context_s(name: str, block: Mapping[str, Any]) -> float:
    seconds = block.get("least_context_s", 0.0)
    if not isinstance(seconds, int | float) or not 0 <= seconds <= CONTEXT_S:
        raise ModelError(
            f"model {name}: the langidd block of config.json: least_context_s is {seconds!r}, "
            f"not seconds from 0 to {CONTEXT_S:g}"
        )
    return float(seconds)


def _temperatures(points: Any) -> Temperatures:
    found = tuple((float(duration), float(value)) for duration, value in sorted(points))
    if any(value <= 0 for _, value in found):
        raise ValueError("a temperature is not above 0")
    return found


def _read(
    name: str,
    tensors: Tensors,
    architecture: Architecture,
    labels: tuple[str, ...],
    tokens: Tokens | None,
) -> dict[str, npt.NDArray[np.float32]]:
    needed = required_tensors(architecture, len(labels))
    if tokens is not None and HEAD_WEIGHT in tensors:
        columns = len(tokens.languages)
        if tensors.shape(HEAD_WEIGHT)[1:] == (columns + architecture.width,):
            columns += architecture.width
        needed |= {HEAD_WEIGHT: (len(labels), columns), HEAD_BIAS: (len(labels),)}
    missing = [tensor for tensor in needed if tensor not in tensors]
    missing += [
        f"{tensor} of shape {shape}"
        for tensor, shape in needed.items()
        if tensor in tensors and tensors.shape(tensor) != shape
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ModelError(
            f"model {name}: the file lacks {', '.join(missing[:_SHOWN])}{more}; langidd needs a "
            "whole Whisper or a fine-tuned WhisperForAudioClassification, not a bare Whisper "
            "encoder"
        )
    rows = {} if tokens is None else {EMBEDDING: tokens.rows, EMBEDDING_POSITIONS: [0]}
    return {tensor: tensors.read(tensor, rows.get(tensor)) for tensor in needed}
