"""Opening a checkpoint: a bundled name, a directory or a hub name.

Only safetensors are read: a pickle can run code, so one is refused. Whatever is wrong
with a checkpoint is said in one line before anything listens.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForAudioClassification,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from langidd.errors import ModelError
from langidd.model.whisper.labels import class_labels, language_tokens
from langidd.model.whisper.location import locate
from langidd.types import Calibration, Temperatures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from transformers import WhisperForAudioClassification

Context = Literal["padded", "trimmed"]


Head = Literal["classification", "language_tokens"]

_UNUSED: Final = re.compile(r"decoder\.layers\.\d+\.self_attn\.[qk]_proj\.")
"""A single token attends to itself alone: its queries and keys change nothing, and langidd's own
checkpoints do not hold them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with what its configuration says of its use.

    `tokens` are start of transcript and the languages, where the head is language tokens.
    """

    name: str
    model: WhisperForAudioClassification | WhisperForConditionalGeneration
    calibration: Calibration
    context: Context
    tokens: tuple[int, ...] | None = None


def open_checkpoint(name: str) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        name: A bundled model, a directory, or a repository on the Hugging Face hub.

    Raises:
        ModelError: It is not there, is damaged, or is no model that langidd can run; one line.

    """
    place = locate(name)
    _check_files(name, place)
    config = _read_config(name, place)
    block = getattr(config, "langidd", None) or {}
    if not isinstance(block, dict):
        raise ModelError(f"model {name}: the langidd block of config.json is no object")
    tokens = None
    if _head(name, config, block) == "language_tokens":
        found = language_tokens(name, config.to_dict(), block, place)
        tokens, labels = tuple(found.rows), tuple(found.languages)
    else:
        labels = class_labels(name, {"id2label": config.id2label})
    calibration, context = _own_block(name, block, labels)
    return Checkpoint(name, _load(name, place, config, tokens), calibration, context, tokens)


def _load(name: str, place: Path, config: WhisperConfig, tokens: tuple[int, ...] | None) -> Any:
    kind: Any = (
        AutoModelForAudioClassification if tokens is None else WhisperForConditionalGeneration
    )
    with quiet_transformers():
        try:
            model, loading = kind.from_pretrained(
                place, config=config, dtype="float32", use_safetensors=True,
                output_loading_info=True,
            )  # fmt: skip
        except SafetensorError as error:
            raise ModelError(
                f"model {name}: its safetensors file is damaged or half-downloaded "
                f"({_first_line(error)}); fetch it again"
            ) from error
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"model {name}: cannot be loaded: {_first_line(error)}") from error
    missing = [key for key in sorted(loading["missing_keys"]) if not _UNUSED.search(key)]
    missing += sorted(str(key[0]) for key in loading["mismatched_keys"])
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""  # noqa: PLR2004 - a few name the fault
        raise ModelError(
            f"model {name}: the file lacks {', '.join(missing[:3])}{more}; langidd needs a whole "
            "Whisper or a fine-tuned WhisperForAudioClassification, not a bare Whisper encoder"
        )
    return model.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from reporting what it loads: what is wrong is said in our own words."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _head(name: str, config: WhisperConfig, block: Mapping[str, Any]) -> Head:
    whole = "WhisperForConditionalGeneration" in (config.architectures or ())
    named = block.get("head", "language_tokens" if whole else "classification")
    if named == "classification":
        return "classification"
    if named == "language_tokens":
        return "language_tokens"
    raise ModelError(
        f"model {name}: the langidd block of config.json: head is {named!r}, not classification "
        "or language_tokens"
    )


def _check_files(name: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {name}: the directory has no config.json")
    if not any(folder.glob("*.safetensors")):
        pickles = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.ckpt")]
        if pickles:
            raise ModelError(
                f"model {name}: {pickles[0].name} is a pickle, which langidd never opens; "
                "convert it to model.safetensors"
            )
        raise ModelError(f"model {name}: the directory has no model.safetensors")


def _read_config(name: str, place: Path) -> WhisperConfig:
    try:
        config = AutoConfig.from_pretrained(place)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            f"model {name}: config.json cannot be read: {_first_line(error)}"
        ) from error
    if not isinstance(config, WhisperConfig):
        raise ModelError(
            f"model {name}: is a {config.model_type or 'model of unknown kind'}; "
            "langidd needs a Whisper"
        )
    return config


def _own_block(
    name: str, block: Mapping[str, Any], labels: tuple[str, ...]
) -> tuple[Calibration, Context]:
    """The `langidd` block of config.json; a stock checkpoint has none."""
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
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"model {name}: the langidd block of config.json: {error}") from error
    return calibration, context


def _temperatures(points: Any) -> Temperatures:
    found = tuple((float(duration), float(value)) for duration, value in sorted(points))
    if any(value <= 0 for _, value in found):
        raise ValueError("a temperature is not above 0")
    return found


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
