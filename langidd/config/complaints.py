"""Turns what the models refuse into one line: the key, what was given, what is allowed."""

from __future__ import annotations

import types
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from langidd.observability.printable import printable
from langidd.observability.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]

SHOWN_CHARACTERS: Final = 60
_WORDS: Final = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def key_text(location: Sequence[int | str]) -> str:
    """Return `sources[1].rtsp` for `("sources", 1, "rtsp")`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # A key of somebody's file may hold anything, newlines too.
            shown = part if part.isidentifier() or part.replace("-", "_").isidentifier() else ""
            text += ("." if text else "") + (shown or short(repr(part)))
    return short(text, 200)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return `; did you mean x?`, or what is allowed where nothing is near."""
    known = list(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{near[0]}?" if near else f"; allowed: {', '.join(known)}"


def explain(
    error: ValidationError, model: type[BaseModel], given: Mapping[str, Any]
) -> tuple[Location, str]:
    """Return the key at fault and the line about it, without secrets, of the first error."""
    details = error.errors(include_url=False, include_context=True, include_input=False)
    # An unknown key is most often the cause of what else is wrong.
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
    detail = details[0]
    location, annotation, owner = _resolve(model, detail["loc"])
    key = key_text(location)
    if detail["type"] == "extra_forbidden":
        prefix = key_text(location[:-1])
        return location, f"unknown key {key}" + suggestion(
            str(location[-1]), owner.model_fields, f"{prefix}." if prefix else ""
        )
    if detail["type"] == "missing":
        return location, f"{key} is missing; it must be {allowed(annotation)}"
    said = detail["msg"].removeprefix("Value error, ") if detail["type"] == "value_error" else ""
    if said and not said.startswith("must"):
        named = not key or said.startswith((f"{key}.", f"{key} "))
        return location, short(redact(said), 400) if named else f"{key}: {short(redact(said), 400)}"
    value = _show(location, _lookup(given, location), annotation)
    return location, f"{key} is {value}; it {said or f'must be {_bounded(annotation, detail)}'}"


def allowed(annotation: Any) -> str:  # noqa: PLR0911 - one answer a kind of type
    """Return in words what a field may be."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return allowed(arguments[0]) + _limits(arguments[1:])
    if origin is Literal:
        return "one of " + ", ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        kinds = [allowed(argument) for argument in arguments if argument is not types.NoneType]
        return " or ".join(dict.fromkeys(kinds))
    if origin is list:
        return f"a list ({_plural(arguments[0])})"
    if origin is dict:
        return f"a table ({allowed(arguments[0])} = {allowed(arguments[1])})"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table"
    if annotation is SecretStr:
        return "text"
    return "a path" if annotation is Path else _WORDS.get(annotation, "of another type")


def _plural(annotation: Any) -> str:
    return "of tables" if allowed(annotation) == "a table" else f"each {allowed(annotation)}"


def _limits(metadata: Iterable[Any]) -> str:
    low = high = above = ""
    for item in (inner for outer in metadata for inner in getattr(outer, "metadata", [outer])):
        low = _number(getattr(item, "ge", None)) or low
        above = _number(getattr(item, "gt", None)) or above
        high = _number(getattr(item, "le", None)) or high
        if getattr(item, "pattern", None) is not None:
            return f" matching {item.pattern}"
        if getattr(item, "max_length", None) is not None:
            return f" of at most {item.max_length}"
    if low and high:
        return f" from {low} to {high}"
    if above and high:
        return f" above {above}, at most {high}"
    return ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _bounded(annotation: Any, detail: ErrorDetails) -> str:
    words = allowed(annotation)
    if detail["type"] == "too_short":
        return f"{words}, not an empty one"
    return words


def _resolve(model: type[BaseModel], location: Location) -> tuple[Location, Any, type[BaseModel]]:
    """Follow a location through the models: without the tags that unions add to it.

    Returns the true location, the annotation there, and the table that holds it.
    """
    true: list[int | str] = []
    owner: type[BaseModel] = model
    annotation: Any = model
    for part in location:
        inner = _unwrap(annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            owner = inner
            true.append(part)
            field = inner.model_fields.get(str(part))
            if field is None:
                annotation = None
                break
            annotation = field.annotation
            if field.metadata:
                annotation = Annotated[annotation, *field.metadata]
        elif get_origin(inner) is list and isinstance(part, int):
            true.append(part)
            annotation = get_args(inner)[0]
        elif get_origin(inner) is dict and part != "[key]":
            true.append(part)
            annotation = get_args(inner)[1]
    return tuple(true), annotation, owner


def _unwrap(annotation: Any) -> Any:
    """Return the one table, list or dict in an annotation, if there is one."""
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [_unwrap(argument) for argument in get_args(annotation)]
        held = [argument for argument in inner if get_origin(argument) in (list, dict)]
        return held[0] if held else annotation
    return annotation


def _lookup(given: Any, location: Location) -> Any:
    for part in location:
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            return None
    return given


def _show(  # noqa: PLR0911 - one answer a kind of value
    location: Location, value: Any, annotation: Any
) -> str:
    """Return what was given, unless that could be a secret."""
    if value is None:
        return "not given"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    names = [part for part in location if isinstance(part, str)]
    if "SecretStr" in repr(annotation) or any("password" in name for name in names):
        return "not shown here, being a secret" if isinstance(value, str) else "no text"
    if isinstance(value, str):
        if "table" in allowed(annotation) or "list" in allowed(annotation):
            return "text"
        return short(repr(redact(value)))
    if isinstance(value, bool):
        return str(value).lower()
    return short(repr(value) if isinstance(value, int | float) else str(value))


def short(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return the text in one line of at most `most` characters."""
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"
