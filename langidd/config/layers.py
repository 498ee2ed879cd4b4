"""The layers of the settings: the TOML file, then `LANGIDD_…` variables, then flags."""

from __future__ import annotations

import json
import logging
import os
import tomllib
import types
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from langidd.config.files import FILE_BYTES, read_text
from langidd.config.refusals import explain, key_text, short, suggestion
from langidd.config.renamed import with_new_names
from langidd.config.settings import Settings
from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langidd.config.refusals import Location

_LOG: Final = logging.getLogger(__name__)

DEFAULT_PATH: Final = Path("/etc/langidd/config.toml")

PREFIX: Final = "LANGIDD_"

NO_SETTINGS: Final = frozenset({"CONFIG", "SHARED", "REQUIRE_ALL"})
"""Variables with the prefix that are not settings: the file's path, and those of the tests."""


class _Environment(Settings, BaseSettings):
    """The settings, in the form in which pydantic-settings reads variables."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=False
    )


def load_settings(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
    environment: bool = True,
) -> Settings:
    """Read the settings.

    A list (sources) replaces the list of the layer below, except that variables such as
    `LANGIDD_SOURCES__0__PASSWORD` set a key in it.

    Args:
        path: The TOML file; None for no file.
        flags: What the command line gives, nested as in the file. They override the
            environment, which overrides the file.
        defaults: The defaults of a command, which everything else overrides.
        environment: Whether to read variables.

    Returns:
        The settings. A key under an old name is logged as a warning.

    Raises:
        ConfigError: Something is not valid; one line without secrets.

    """
    file = _read(path) if path is not None else {}
    for line in with_new_names(file, lambda place: f"{path}: {key_text(place)}"):
        _LOG.warning(line)
    variables = _variables() if environment else {}
    flags = deepcopy(dict(flags or {}))
    for line in with_new_names(flags, lambda place: f"--set {key_text(place)}"):
        _LOG.warning(line)
    given: dict[str, Any] = {}
    for layer in (defaults or {}, file, variables, flags):
        given = _over(given, dict(layer))
    if environment and not given.get("state_directory") and os.environ.get("STATE_DIRECTORY"):
        # With several directories in a unit, systemd joins them by colons.
        given["state_directory"] = os.environ["STATE_DIRECTORY"].split(":")[0]
    directory = path.parent if path is not None else Path()
    try:
        return Settings.model_validate(given, context={"directory": directory})
    except ValidationError as error:
        location, text = explain(error, given)
        origin = _origin(location, path, variables, flags)
        raise ConfigError(origin + text) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, FILE_BYTES))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(" in str(error) else "somewhere"
        # The message of the parser may quote the file, and the file may hold a password.
        raise ConfigError(
            f"{path} is not valid TOML {place}; look for a missing quote, bracket or ="
        ) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{path} {error}") from None


def _variables() -> dict[str, Any]:
    """Return what the environment sets, each text converted to the type of its key."""
    known = Settings.model_fields
    for name in os.environ:
        if not name.upper().startswith(PREFIX):
            continue
        key = name[len(PREFIX) :].partition("__")[0].lower()
        if key not in known and name[len(PREFIX) :].upper() not in NO_SETTINGS:
            near = suggestion(key, known)
            raise ConfigError(f"unknown variable {key_text([name])}{near}")
    try:
        raw = EnvSettingsSource(_Environment)()
    except SettingsError:
        # Its message quotes the value, so the variable is looked for again.
        raise ConfigError(_unparsed()) from None
    for line in with_new_names(raw, _variable):
        _LOG.warning(line)
    return {key: _typed(value, known[key].annotation) for key, value in raw.items()}


def _variable(location: Location) -> str:
    return PREFIX + "__".join(str(part).upper() for part in location)


def _unparsed() -> str:
    """Return the error about the variable of a table or list whose text is not JSON."""
    for name, value in os.environ.items():
        key = name[len(PREFIX) :].lower()
        if name.upper().startswith(PREFIX) and key in Settings.model_fields:
            try:
                json.loads(value)
            except ValueError:
                if _is_compound(Settings.model_fields[key].annotation):
                    return f"{name} is no JSON; lists and tables are given as JSON"
    return f"a variable {PREFIX}… is no JSON; lists and tables are given as JSON"


def _is_compound(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return any(_is_compound(argument) for argument in get_args(annotation))
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_table or get_origin(annotation) in (list, dict)


def _typed(value: Any, annotation: Any) -> Any:  # noqa: PLR0911 - one answer a kind of type
    """Convert the texts of variables to the types of their keys, where they fit."""
    if isinstance(value, dict):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields
            return {
                key: _typed(inner, fields[key].annotation) if key in fields else inner
                for key, inner in value.items()
            }
        if get_origin(annotation) is Annotated:
            return _typed(value, get_args(annotation)[0])
        if get_origin(annotation) is list:
            return {index: _typed(inner, get_args(annotation)[0]) for index, inner in value.items()}
        return value
    if not isinstance(value, str):
        return value
    try:
        if _is_compound(annotation):
            return json.loads(value)
        return TypeAdapter(annotation).validate_strings(value)
    except (ValidationError, ValueError):
        return value


def _over(below: Any, above: Any) -> Any:
    """Merge two layers: tables are merged, anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        merged = dict(below)
        for key, value in above.items():
            merged[key] = _over(merged[key], value) if key in merged else value
        return merged
    if isinstance(below, list) and isinstance(above, dict):
        for index in above:
            if not index.isdigit() or int(index) >= len(below):
                raise ConfigError(
                    f"{PREFIX}SOURCES__{short(index.upper())}: there are {len(below)} sources, "
                    "and they count from 0"
                )
        return [_over(item, above.get(str(index), {})) for index, item in enumerate(below)]
    return above


def _origin(
    location: Location,
    path: Path | None,
    variables: Mapping[str, Any],
    flags: Mapping[str, Any],
) -> str:
    """Return which layer the key at fault came from, as the start of a message."""
    if _holds(flags, location):
        return ""
    if _holds(variables, location):
        return f"{_variable(location)}: "
    return f"{path}: " if path is not None else ""


def _holds(layer: Any, location: Location) -> bool:
    for part in location:
        if isinstance(layer, dict) and str(part) in layer:
            layer = layer[str(part)]
        elif isinstance(layer, list) and isinstance(part, int) and part < len(layer):
            layer = layer[part]
        else:
            return False
    return bool(location)
