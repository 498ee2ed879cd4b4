"""Keeping secrets out of everything that is shown: URLs, logs, errors, tracebacks."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK: Final = "***"

_SHORTEST: Final = 3
"""Shorter ones are masked as whole words alone: within words they would eat every text."""

# user:password@ of any URL. A password may hold an @ (cameras' owners do not quote it),
# so the match runs to the last @ before the path's first slash.
_USER_INFO: Final = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#\"'<>]*@")
# A password may even hold a slash; then what follows is a host.
_USER_INFO_SLASH: Final = re.compile(
    r"(?P<scheme>\b(?:rtsps?|mqtts?|https?)://)[^\s:/@\"'<>]*:[^\s\"'<>]*@(?=[\w.\[-])"
)
# Cameras that take the login in the path or the query: ?user=a&password=b, /user=a_password=b_
_PARAMETER: Final = re.compile(
    r"(?i)(?P<key>[?&;/_](?:password|passwd|pass|pwd|token|secret|auth|key)=)(?P<value>[^&;_\s\"'/]+)"
)


def redact_url(url: str) -> str:
    """Return the URL without user, password and whatever else in it is a login."""
    return _PARAMETER.sub(
        rf"\g<key>{MASK}",
        _USER_INFO.sub(rf"\g<scheme>{MASK}@", _USER_INFO_SLASH.sub(rf"\g<scheme>{MASK}@", url)),
    )


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without any of `secrets` and without the logins of URLs in it."""
    # Longest first, so that one secret within another leaves no rest of it.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
        elif secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return redact_url(text) if "://" in text or "=" in text else text


def url_secrets(url: str) -> frozenset[str]:
    """Return the passwords that the URL's path and query hold."""
    values = {match["value"] for match in _PARAMETER.finditer(url)}
    return frozenset(values | {unquote(value) for value in values})


class SecretFilter(logging.Filter):
    """Takes secrets out of every record that passes, its traceback included.

    `secrets` may be set anew at any time, as when the configuration is read again.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self.secrets = frozenset(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; always True."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A third party's format string that its arguments do not fit.
            text = f"{record.msg} {record.args!r}"
        record.msg, record.args = redact(text, self.secrets), ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text, self.secrets)
        if record.stack_info:
            record.stack_info = redact(record.stack_info, self.secrets)
        return True


_FORMATTER: Final = logging.Formatter()
