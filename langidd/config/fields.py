"""The kinds of value that settings hold, each refusing what cannot be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_FILE_BYTES: Final = 64 * 1024
"""No password is longer; a bigger file is the wrong file (or /dev/zero)."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


class Table(BaseModel):
    """A table of the configuration: frozen, nothing unknown, no type but the one named."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=False,
        use_attribute_docstrings=True,
    )


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
    _plain(text)
    if "/" in text or "@" in text or text.count(":") == 1 or " " in text:
        raise ValueError("must be a host name or an address alone, without scheme, port or user")
    return text


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise ValueError('must be lower-case language codes such as "uz", "ru", "en"')
    return text


def _number_or_name(value: object) -> object:
    """A device's number arrives as text from a flag or a variable."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _path(value: object) -> object:
    if isinstance(value, str):
        if not value:
            raise ValueError("must not be empty")
        if "\0" in value:
            raise ValueError("must hold printable characters only")
        return Path(value).expanduser() if value.startswith("~") else Path(value)
    return value


def credential_path(path: Path, context: Mapping[str, Path] | None) -> Path:
    """Return where a `*_file` lies.

    A relative one is one of systemd's credentials where there is one of that name
    (`$CREDENTIALS_DIRECTORY`), else it lies beside the configuration file.
    """
    if path.is_absolute():
        return path
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        # The files of a directory that LoadCredential= names have its name before their own.
        credential = Path(credentials) / "_".join(path.parts)
        if credential.exists():
            return credential
    return (context or {}).get("directory", Path()) / path


def _readable(path: Path, info: ValidationInfo) -> Path:
    path = credential_path(path, info.context)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def read_secret(path: Path) -> SecretStr:
    """Read a password: the file's text without the newline at its end.

    Raises ValueError, whose text never holds what was read.
    """
    with path.open("rb") as file:
        content = file.read(SECRET_FILE_BYTES + 1)
    if len(content) > SECRET_FILE_BYTES:
        raise ValueError(f"{path} is no password: it holds over {SECRET_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no password: it is no UTF-8 text") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return SecretStr(text)


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


Text = Annotated[str, AfterValidator(_plain), Field(max_length=200)]
Topic = Annotated[str, AfterValidator(_topic), Field(max_length=200)]
Host = Annotated[str, AfterValidator(_host), Field(max_length=253)]
Language = Annotated[str, AfterValidator(_language)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
AnyPath = Annotated[Path, BeforeValidator(_path)]
ReadableFile = Annotated[Path, BeforeValidator(_path), AfterValidator(_readable)]
Device = Annotated[
    Annotated[int, Field(ge=0)] | Text,
    BeforeValidator(_number_or_name),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Unit = Annotated[float, Field(ge=0, le=1)]
