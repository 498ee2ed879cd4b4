"""Opening a checkpoint: a bundled name, a directory or a hub name.

Only safetensors are read: a pickle can run code, so one is refused. Whatever is wrong
with a checkpoint is said in one line before anything listens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForAudioClassification, WhisperConfig
from transformers.utils import logging as transformers_logging

from langidd.errors import ModelError
from langidd.types import Calibration, Temperatures

if TYPE_CHECKING:
    from transformers import WhisperForAudioClassification

Context = Literal["padded", "trimmed"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with what its configuration says of its use."""

    name: str
    model: WhisperForAudioClassification
    calibration: Calibration
    context: Context


def locate(name: str) -> str:
    """The directory of a bundled model, or the name itself (a directory, a hub name)."""
    bundled = resources.files("langidd") / "models" / name
    if "/" not in name and isinstance(bundled, Path) and (bundled / "config.json").is_file():
        return str(bundled)
    return str(Path(name).expanduser()) if name.startswith("~") else name


def open_checkpoint(name: str) -> Checkpoint:
    """Read and check a checkpoint; raises `ModelError` in one line."""
    place = locate(name)
    _check_files(name, place)
    config = _read_config(name, place)
    labels = _labels(name, config)
    calibration, context = _own_block(name, config, labels)
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        model, loading = AutoModelForAudioClassification.from_pretrained(
            place, config=config, dtype="float32", use_safetensors=True, output_loading_info=True
        )
    except SafetensorError as error:
        raise ModelError(
            f"model {name}: its safetensors file is damaged or half-downloaded "
            f"({_first_line(error)}); fetch it again"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"model {name}: cannot be loaded: {_first_line(error)}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
    missing = sorted(loading["missing_keys"]) + sorted(
        str(key[0]) for key in loading["mismatched_keys"]
    )
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""  # noqa: PLR2004 - a few name the fault
        raise ModelError(
            f"model {name}: the file lacks {', '.join(missing[:3])}{more}; langidd needs a "
            "fine-tuned WhisperForAudioClassification, not a bare Whisper"
        )
    return Checkpoint(name=name, model=model.eval(), calibration=calibration, context=context)


def _check_files(name: str, place: str) -> None:
    folder = Path(place)
    if not folder.is_dir():
        if folder.is_absolute() or place.startswith((".", "~")) or place.count("/") > 1:
            raise ModelError(f"model {name}: there is no such directory")
        return
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


def _read_config(name: str, place: str) -> WhisperConfig:
    try:
        config = AutoConfig.from_pretrained(place)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        if Path(place).is_dir():
            raise ModelError(
                f"model {name}: config.json cannot be read: {_first_line(error)}"
            ) from error
        raise ModelError(
            f"model {name}: neither a directory here nor to be had from the Hugging Face hub "
            f"({_first_line(error)})"
        ) from error
    if not isinstance(config, WhisperConfig):
        raise ModelError(
            f"model {name}: is a {config.model_type or 'model of unknown kind'}; "
            "langidd needs a Whisper audio classifier"
        )
    return config


def _labels(name: str, config: WhisperConfig) -> tuple[str, ...]:
    by_index: dict[Any, str] = dict(config.id2label or {})
    labels = tuple(str(by_index[index]).lower() for index in sorted(by_index))
    if not labels or all(label.startswith("label_") for label in labels):
        raise ModelError(
            f"model {name}: config.json has no id2label that names its languages "
            '(such as {"0": "uz", "1": "ru"})'
        )
    if len(set(labels)) != len(labels):
        raise ModelError(f"model {name}: id2label names one language twice")
    return labels


def _own_block(
    name: str, config: WhisperConfig, labels: tuple[str, ...]
) -> tuple[Calibration, Context]:
    """The `langidd` block of config.json; a stock checkpoint has none."""
    block: Any = getattr(config, "langidd", None) or {}
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
