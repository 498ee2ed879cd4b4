"""How corpora and Whisper spell languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langidd.model.whisper.languages import bcp47

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAME: Final = {"nb": "no", "fil": "tl", "iw": "he"}
"""Codes under which corpora list a language of Whisper's."""


def row_of(locale: str, languages: Sequence[str]) -> int | None:
    """Return a locale's place among the languages; None where it has none."""
    code = bcp47(_SAME.get(locale, locale))
    if code == "yue" and "yue" not in languages:
        code = "zh"
    return languages.index(code) if code in languages else None
