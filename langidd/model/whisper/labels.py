"""What a Whisper's scores are called: the labels of its head, in the order of its logits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langidd.errors import ModelError
from langidd.model.whisper.languages import START_OF_TRANSCRIPT, bcp47, stock_languages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tokens:
    """Rows of the token embeddings: `start` of transcript, and each language's."""

    start: int
    languages: dict[str, int]

    @property
    def rows(self) -> list[int]:
        """The start's row, then the languages', in the order of the labels."""
        return [self.start, *self.languages.values()]


def read_json(name: str, path: Path) -> dict[str, Any]:
    """Read an object from one of the model's files.

    Raises:
        ModelError: The file cannot be read, or holds something else.

    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it holds no object")
    except (OSError, ValueError, TypeError) as error:
        text = str(error).splitlines()[0][:200]
        raise ModelError(f"model {name}: {path.name} cannot be read: {text}") from error
    return found


def class_labels(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of a classification head, from `id2label`.

    Raises:
        ModelError: There are none, or transformers made them up, or one is there twice.

    """
    try:
        by_id = {int(number): str(label) for number, label in config["id2label"].items()}
    except (KeyError, AttributeError, ValueError):
        by_id = {}
    labels = [by_id[number].lower() for number in sorted(by_id)]
    if not labels or all(label.startswith("label_") for label in labels):
        raise ModelError(
            f"model {name}: config.json has no id2label that names its languages "
            '(such as {"0": "uz", "1": "ru"})'
        )
    return distinct(name, "id2label", labels)


def language_tokens(
    name: str, config: Mapping[str, Any], block: Mapping[str, Any], folder: Path
) -> Tokens:
    """The tokens that name languages.

    The `languages` of the langidd block follow start of transcript in the vocabulary. A stock
    checkpoint says it in `generation_config.json` or has OpenAI's standard order.

    Raises:
        ModelError: The model has no language tokens, or names rows that it does not have.

    """
    vocabulary = config.get("vocab_size", 0)
    start = config.get("decoder_start_token_id", START_OF_TRANSCRIPT)
    stored = folder / "generation_config.json"
    if "languages" in block:
        codes = _texts(name, "languages", block["languages"])
        languages = {code: start + 1 + row for row, code in enumerate(codes)}
    elif stored.is_file() and (listed := read_json(name, stored).get("lang_to_id")):
        by_token = {bcp47(str(token).strip("<|>")): row for token, row in dict(listed).items()}
        languages = dict(sorted(by_token.items(), key=lambda item: int(item[1])))
    else:
        codes = stock_languages(vocabulary)
        languages = {bcp47(code): start + 1 + row for row, code in enumerate(codes)}
    if not languages:
        raise ModelError(
            f"model {name}: its vocabulary of {vocabulary} tokens has no languages; langidd needs "
            "a multilingual Whisper or a fine-tuned WhisperForAudioClassification"
        )
    outside = [row for row in (start, *languages.values()) if not 0 <= row < vocabulary]
    if outside:
        raise ModelError(
            f"model {name}: language token {outside[0]} is outside its vocabulary of {vocabulary}"
        )
    return Tokens(start, languages)


def head_labels(name: str, block: Mapping[str, Any], tokens: Tokens) -> tuple[str, ...]:
    """The labels of a head of langidd's own over the language tokens' logits.

    Raises:
        ModelError: The block's `labels` are no list of different texts.

    """
    if "labels" in block:
        return _texts(name, "labels", block["labels"])
    return tuple(tokens.languages)


def distinct(name: str, what: str, labels: list[str]) -> tuple[str, ...]:
    """The labels, each of which must be there once."""
    if len(set(labels)) != len(labels):
        raise ModelError(f"model {name}: {what} names one language twice")
    return tuple(labels)


def _texts(name: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ModelError(
            f"model {name}: the langidd block of config.json: {key} is no list of language codes"
        )
    return distinct(name, key, [each.lower() for each in value])
