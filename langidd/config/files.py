"""What the settings read from disk: text in any marked encoding, and passwords."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_BYTES: Final = 4 * 2**20
"""The largest configuration; a bigger file is the wrong file."""

SECRET_FILE_BYTES: Final = 64 * 1024
"""The largest password file; a bigger one is the wrong file (or /dev/zero)."""

# The four-byte marks first: UTF-32-LE begins with the mark of UTF-16-LE.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)


def read_text(path: Path, most: int) -> str:
    """Read a text file without its byte order mark.

    Args:
        path: The file.
        most: The largest size in bytes.

    Returns:
        The text; its newlines are as in the file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too big or no text. The message does not quote the file.

    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"holds more than {most} bytes")
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "UTF-8")
    )
    content = content.removeprefix(mark)
    if not mark and b"\0" in content:
        raise ValueError("holds NUL bytes, like UTF-16 without a byte order mark; save it as UTF-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"is no {encoding} text (byte {error.start + len(mark)})") from None


def read_secret(path: Path) -> SecretStr:
    """Read a password: the file's one line, without its byte order mark and newline.

    Raises:
        ValueError: The file cannot be read or holds no password. The message never
            quotes the file.

    """
    try:
        text = read_text(path, SECRET_FILE_BYTES).rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}; that is no password") from None
    if not text:
        raise ValueError(f"{path} is empty")
    if "\n" in text or "\r" in text:
        raise ValueError(f"{path} holds several lines; a password is one line")
    return SecretStr(text)


def credential_path(path: Path, context: Mapping[str, Path] | None) -> Path:
    """Return the path of a `*_file`.

    A relative path is one of systemd's credentials if there is one of that name
    (`$CREDENTIALS_DIRECTORY`), and otherwise relative to the configuration file's directory
    (`context["directory"]`).
    """
    if path.is_absolute():
        return path
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        # The files of a directory that LoadCredential= names have its name before their own.
        credential = Path(credentials) / "_".join(path.parts)
        if credential.exists():
            return credential
    return (context["directory"] / path) if context else path
