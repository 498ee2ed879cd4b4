"""The types of values in the settings, with their validation."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from langidd.config.files import credential_path, read_secret

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


class Table(BaseModel):
    """A table of the configuration: frozen, without unknown keys, and strict about types."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=False,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """Refuse an unknown key; the error carries the known ones."""
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key", "unknown key", {"key": str(key), "known": [*cls.model_fields]}
                )
        return data


def _plain(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if any(not character.isprintable() for character in text):
        raise ValueError("must hold printable characters only")
    return text


def _topic(text: str) -> str:
    _plain(text)
    if set(text) & set("#+$") or text != text.strip("/") or "//" in text:
        raise ValueError("must be an MQTT topic without #, +, $ and without / at its ends")
    return text


def _host(text: str) -> str:
    """Return the host; an IPv6 address without the brackets that URLs put around it."""
    _plain(text)
    address = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in address or address is not text:
        try:
            return str(IPv6Address(address))
        except ValueError:
            raise ValueError(
                "must be a host name or an address alone, without scheme, port or user"
            ) from None
    if set(text) & set("/@[] "):
        raise ValueError("must be a host name or an address alone, without scheme, port or user")
    return text


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise ValueError('must be lower-case language codes such as "uz", "ru", "en"')
    return text


def _number_or_name(value: object) -> object:
    """Convert a device number, which is text in a flag or a variable."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _path(value: object) -> object:
    if isinstance(value, str):
        if not value:
            raise ValueError("must not be empty")
        if "\0" in value:
            raise ValueError("must hold printable characters only")
        return Path(value).expanduser() if value.startswith("~") else Path(value)
    return value


def _readable(path: Path, info: ValidationInfo) -> Path:
    path = credential_path(path, info.context)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise ValueError("must not be empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        # How Python keeps the bytes of a variable or a flag that are no UTF-8.
        raise ValueError("must be UTF-8 text")
    return value


def fill_from_file(table: Table, key: str) -> None:
    """Set the field `key` to what the file named by `key_file` holds.

    Raises:
        ValueError: Both are given, or the file holds no password.

    """
    path = getattr(table, f"{key}_file")
    if path is None:
        return
    if getattr(table, key) is not None:
        raise ValueError(f"{key} and {key}_file are both given; one is allowed")
    # Frozen against everybody else; the model itself is still being made here.
    try:
        object.__setattr__(table, key, read_secret(path))
    except ValueError as error:
        raise ValueError(f"{key}_file: {error}") from None


Text = Annotated[str, AfterValidator(_plain), Field(max_length=200)]
Topic = Annotated[str, AfterValidator(_topic), Field(max_length=200)]
Host = Annotated[str, AfterValidator(_host), Field(max_length=253)]
Language = Annotated[str, AfterValidator(_language)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
AnyPath = Annotated[Path, BeforeValidator(_path)]
ReadableFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_readable)]
Track = Annotated[
    Annotated[int, Field(ge=0, le=999)] | Text,
    BeforeValidator(_number_or_name),
]
Device = Annotated[
    Annotated[int, Field(ge=0)] | Text,
    BeforeValidator(_number_or_name),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Unit = Annotated[float, Field(ge=0, le=1)]
