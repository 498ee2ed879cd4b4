"""The models that an evaluation can ask: langidd's own way, and Whisper's language tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch

from langidd.errors import LangiddError, ModelError
from langidd.model.whisper.torch_engine import load_classifier
from langidd.model.whisper.torch_checkpoint import locate
from langidd.model.whisper.torch_log_mel import LogMel
from langidd.types import SAMPLE_RATE, Calibration
from langidd_training.evaluation.passages import LONGEST_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

Context = Literal["padded", "trimmed"]
Kind = Literal["auto", "classifier", "tokens"]


class Listener(Protocol):
    """What is evaluated: windows in, logits over its labels out."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the logits."""

    @property
    def calibration(self) -> Calibration:
        """What the checkpoint says of its scores."""

    @property
    def context(self) -> str:
        """`padded` or `trimmed`."""

    def logits(self, windows: Sequence[Sound], /) -> npt.NDArray[np.float32]:
        """`(windows, labels) float32`."""


class LanguageTokens:
    """Whisper's own answer: its decoder's scores of the language tokens.

    The first token after `<|startoftranscript|>` says the language (Radford et al.,
    2022); always on 30 s, as Whisper was trained. Its labels are all languages that
    the checkpoint knows.
    """

    context = "padded"

    def __init__(self, path: str) -> None:
        from transformers import GenerationConfig, WhisperForConditionalGeneration

        try:
            self._model = WhisperForConditionalGeneration.from_pretrained(path, dtype="float32")
            tokens: dict[str, int] = GenerationConfig.from_pretrained(path).to_dict()["lang_to_id"]
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"model {path}: no Whisper with a decoder and language tokens: "
                f"{str(error).splitlines()[0][:200]}"
            ) from error
        self._model.eval()
        self.labels = tuple(token.strip("<|>") for token in tokens)
        self.calibration = Calibration(labels=self.labels)
        self._tokens = torch.tensor(list(tokens.values()))
        self._log_mel = LogMel(int(self._model.config.num_mel_bins), torch.device("cpu"))

    def logits(self, windows: Sequence[Sound], /) -> npt.NDArray[np.float32]:
        """Scores of every language token."""
        samples = np.zeros((len(windows), round(LONGEST_S * SAMPLE_RATE)), np.float32)
        for row, window in zip(samples, windows, strict=True):
            row[: len(window)] = window[: len(row)]
        start = torch.full((len(windows), 1), self._model.config.decoder_start_token_id)
        with torch.inference_mode():
            answer = self._model(
                input_features=self._log_mel(torch.from_numpy(samples)), decoder_input_ids=start
            )
        return np.asarray(answer.logits[:, 0, self._tokens].numpy(), np.float32)


def open_listener(
    model: str, context: Context | None = None, *, kind: Kind = "auto", threads: int = 0
) -> Listener:
    """Open a checkpoint as what it is: a classifier, or a Whisper with its decoder.

    `context` None is the checkpoint's own. Raises ModelError.
    """
    if threads > 0:
        torch.set_num_threads(threads)
    if kind == "auto":
        kind = "tokens" if has_decoder(model) else "classifier"
    if kind == "tokens":
        if context == "trimmed":
            raise ModelError(f"model {model}: Whisper's language tokens need padded context")
        return LanguageTokens(locate(model))
    return load_classifier(model, context=context or "auto", threads=threads)


def has_decoder(model: str) -> bool:
    """Whether the checkpoint is one that transcribes (`WhisperForConditionalGeneration`)."""
    config = Path(locate(model)) / "config.json"
    if config.is_file():
        try:
            stated = json.loads(config.read_text(encoding="utf-8")).get("architectures")
        except ValueError as error:
            raise ModelError(f"model {model}: config.json is no JSON: {error}") from error
    else:
        from transformers import AutoConfig

        try:
            stated = AutoConfig.from_pretrained(model).architectures
        except (OSError, ValueError) as error:
            raise ModelError(f"model {model}: {str(error).splitlines()[0][:200]}") from error
    return "WhisperForConditionalGeneration" in (stated or ())


def known_targets(listener: Listener, wanted: Sequence[str]) -> tuple[str, ...]:
    """The languages to measure, of which the model must know each."""
    missing = [language for language in wanted if language not in listener.labels]
    if missing:
        raise LangiddError(
            f"the model has no label {', '.join(missing)}; it has "
            f"{', '.join(listener.labels[:12])}: choose with --languages"
        )
    return tuple(wanted)
