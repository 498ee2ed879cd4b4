"""What the settings refuse, in one line: the key, what was given, what is allowed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from langidd.errors import printable
from langidd.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
"""A key's place: `("sources", 1, "rtsp")`."""

SHOWN_CHARACTERS: Final = 60

_WHOLE_NUMBER: Final = "a whole number"
_TABLE: Final = "a table"

_ALLOWED: Final = {
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "UTF-8 text",
    "path_type": "a path",
    "list_type": "a list",
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "greater_than": "more than {gt:.12g}",
    "greater_than_equal": "at least {ge:.12g}",
    "less_than_equal": "at most {le:.12g}",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text matching {pattern}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "literal_error": "{expected}",
}
"""What is allowed, by pydantic's type of error and with the facts of its context."""

_COMPOUND: Final = frozenset({"list_type", "dict_type", "model_type"})
"""Errors of a value in a table's place: a text there may hold a password and is not shown."""


def key_text(location: Sequence[int | str]) -> str:
    """Return `sources[1].rtsp` for `("sources", 1, "rtsp")`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # A key of somebody's file may hold anything, newlines too.
            plain = part.replace("-", "_").isidentifier()
            text += ("." if text else "") + (part if plain else short(repr(part)))
    return short(text, 200)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return `; did you mean x?`, or what is allowed where nothing is near."""
    known = list(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{near[0]}?" if near else f"; allowed: {', '.join(known)}"


def short(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return the text in one line of at most `most` characters."""
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def explain(error: ValidationError, given: Mapping[str, Any]) -> tuple[Location, str]:
    """Explain the first error, without secrets.

    Args:
        error: What pydantic refused.
        given: The settings as they were given to it.

    Returns:
        The place of the key at fault, and the line about it.

    """
    details = error.errors(include_url=False)
    # An unknown key is most often the cause of what else is wrong.
    details.sort(key=lambda detail: detail["type"] != "unknown_key")
    detail = details[0]
    location, facts = _place(detail, given), detail.get("ctx", {})
    if detail["type"] == "unknown_key":
        prefix = f"{key_text(location)}." if location else ""
        location = (*location, facts["key"])
        return location, f"unknown key {key_text(location)}" + suggestion(
            facts["key"], facts["known"], prefix
        )
    key = key_text(location)
    if detail["type"] == "missing":
        return location, f"{key} is missing"
    if detail["type"] == "value_error":
        said = short(redact(str(facts["error"])), 400)
        if not said.startswith("must "):
            named = not key or said.startswith((f"{key}.", f"{key} "))
            return location, said if named else f"{key}: {said}"
    # A value that may be of several types has an error for each of them.
    allowed = [_allowed(other) for other in details if _place(other, given) == location]
    value = _show(location, detail)
    return location, f"{key} is {value}; it must be {' or '.join(dict.fromkeys(allowed))}"


def _allowed(detail: ErrorDetails) -> str:
    facts = detail.get("ctx", {})
    if detail["type"] == "value_error":
        said = short(redact(str(facts["error"])), 400)
        return said.removeprefix("must ").removeprefix("be ")
    words = _ALLOWED.get(detail["type"])
    return words.format(**facts) if words else detail["msg"].removeprefix("Input should be ")


def _place(detail: ErrorDetails, given: Any) -> Location:
    """Return where the error is, without what pydantic adds for the types of a union."""
    place: list[int | str] = []
    for part in detail["loc"]:
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            if detail["type"] == "missing":
                place.append(part)
            break
        place.append(part)
    return tuple(place)


def _show(location: Location, detail: ErrorDetails) -> str:
    """Return what was given, unless that could be a secret."""
    value = detail["input"]
    if isinstance(value, dict | list):
        return _TABLE if isinstance(value, dict) else f"a list of {len(value)}"
    if any("password" in part for part in location if isinstance(part, str)):
        return "not shown here, being a secret" if isinstance(value, str) else "no text"
    if isinstance(value, str):
        return "text" if detail["type"] in _COMPOUND else short(repr(redact(value)))
    if isinstance(value, bool):
        return str(value).lower()
    return short(str(value))
