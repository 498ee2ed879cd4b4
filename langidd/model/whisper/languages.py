"""The languages of a stock Whisper, in the order of its tokens."""

from __future__ import annotations

from typing import Final

_IN_ORDER: Final = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no "
    "th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw "
    "gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl "
    "mg as tt haw ln ha ba jw su yue"
)

LANGUAGES: Final = tuple(_IN_ORDER.split())
"""As in OpenAI's `whisper/tokenizer.py`; `yue` came with large-v3."""

OTHER_TOKENS: Final = 51_766
"""Tokens of a multilingual vocabulary that are no language: 51,865 with 99 of them."""

START_OF_TRANSCRIPT: Final = 50_258
"""`<|startoftranscript|>` of every multilingual Whisper; the languages follow it."""

_BCP47: Final = {"jw": "jv"}
"""Whisper's own codes that BCP-47 spells another way."""


def stock_languages(vocabulary: int) -> tuple[str, ...]:
    """The languages of a multilingual Whisper with so many tokens; none for another number."""
    count = vocabulary - OTHER_TOKENS
    return LANGUAGES[:count] if count in (len(LANGUAGES) - 1, len(LANGUAGES)) else ()


def bcp47(code: str) -> str:
    """The lower-case BCP-47 code of one of Whisper's."""
    lowered = code.lower()
    return _BCP47.get(lowered, lowered)
