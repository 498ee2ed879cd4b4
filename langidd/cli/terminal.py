"""Output that any terminal and any pipe can take, whatever its encoding."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_SUBSTITUTES: Final = {
    "✓": "ok", "✗": "FAILED", "…": "...", "–": "-", "’": "'", "·": ".", "−": "-",
    "█": "#", "▓": "%", "▒": "=", "░": "-", "▚": "/", "▞": "\\",
}  # fmt: skip
"""What stands for our own signs where an encoding lacks them."""

_HANDLER: Final = "langidd-substitute"


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded: our signs by others, anything else by its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = ""
    for sign in error.object[error.start : error.end]:
        text += _SUBSTITUTES.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii")
    return text, error.end


codecs.register_error(_HANDLER, _substitute)


def adapt_streams() -> None:
    """Let standard output and standard error take every character, whatever their encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def is_utf8(encoding: str | None) -> bool:
    """Return whether a stream's encoding can take every character."""
    return codecs.lookup(encoding or "utf-8").name == "utf-8"


def json_line(value: Any) -> str:
    """Return the value as JSON in one line that standard output takes as it is."""
    return json.dumps(value, ensure_ascii=not is_utf8(getattr(sys.stdout, "encoding", None)))


def path_text(path: Path) -> str:
    r"""Return a path for JSON and CSV: exact, except that bytes that are not UTF-8 are `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
