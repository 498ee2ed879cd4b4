"""A checkpoint as transformers' model, for torch: checked by plain code, loaded by transformers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import (
    WhisperConfig,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from langidd.errors import ModelError
from langidd.model.whisper.checkpoint import checkpoint_folder
from langidd.model.whisper.checkpoint import open_checkpoint as open_plain
from langidd.model.whisper.labels import language_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langidd.model.whisper.checkpoint import Context
    from langidd.types import Calibration


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with what its configuration says of its use.

    `tokens` are start of transcript and the languages, where the head is language tokens.
    """

    name: str
    model: WhisperForAudioClassification | WhisperForConditionalGeneration
    calibration: Calibration
    context: Context
    least_context_s: float
    tokens: tuple[int, ...] | None = None


def open_checkpoint(name: str) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        name: A bundled model, a directory, or a repository on the Hugging Face hub.

    Raises:
        ModelError: It is not there, is damaged, or is no model that langidd can run; one line.

    """
    plain = open_plain(name)
    folder = checkpoint_folder(name)
    config = WhisperConfig.from_pretrained(folder)
    kind: Any = WhisperForAudioClassification
    tokens = None
    if plain.architecture.head == "language_tokens":
        kind = WhisperForConditionalGeneration
        block = getattr(config, "langidd", None) or {}
        tokens = tuple(language_tokens(name, config.to_dict(), block, folder).rows)
    with quiet_transformers():
        try:
            model = kind.from_pretrained(
                folder, config=config, dtype="float32", use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ModelError(f"model {name}: cannot be loaded: {text}") from error
    return Checkpoint(
        name, model.eval(), plain.calibration, plain.context, plain.least_context_s, tokens
    )


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
