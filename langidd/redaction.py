"""Keeping secrets out of everything that is shown: URLs, logs, errors, tracebacks."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote

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
# What names a login: `password`, `apiKey`, `access_token`, `X-Amz-Signature`; not `author`.
_NAME: Final = (
    r"(?:[a-z0-9]+[_-])*(?:api|access|stream|session|auth|secret)?"
    r"(?:passwords?|passwd|passphrase|pass|pwd|token|secret|auth|key|signature|sig|credentials?)"
)
# In a query the value runs to the next parameter; in a path (/user=a_password=b_channel=1) to
# the next name or segment.
_QUERY: Final = re.compile(rf"(?i)(?P<key>[?&;#]{_NAME}=)(?P<value>[^&;\s\"'<>#]+)")
_PATH: Final = re.compile(rf"(?i)(?P<key>[/_]{_NAME}=)(?P<value>(?:(?!_[a-z]+=)[^&;\s\"'<>/?#])+)")
_SEGMENT: Final = re.compile(rf"(?i)(?P<key>://[^\s\"'<>?#]*?/{_NAME}/)(?P<value>[^\s\"'<>/?#]+)")
_LOGINS: Final = (_QUERY, _PATH, _SEGMENT)


def redact_url(url: str) -> str:
    """Return the URL without user, password and whatever else in it is a login."""
    url = _USER_INFO_SLASH.sub(rf"\g<scheme>{MASK}@", url)
    url = _USER_INFO.sub(rf"\g<scheme>{MASK}@", url)
    for pattern in _LOGINS:
        url = pattern.sub(rf"\g<key>{MASK}", url)
    return url


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
    values = {match["value"] for pattern in _LOGINS for match in pattern.finditer(url)}
    return frozenset(values | {unquote(value) for value in values})


def spellings(secret: str, username: str = "") -> frozenset[str]:
    """Return the forms in which a secret may come up in somebody else's message.

    Args:
        secret: The secret as it is.
        username: Who logs in with it; HTTP's Basic authentication joins the two (RFC 7617).

    Returns:
        The secret as it is, percent-encoded, escaped for JSON, Python and HTML, and in Base64.

    """
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    quoted |= {re.sub("%..", lambda match: match[0].lower(), text) for text in quoted}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    escaped |= {repr(secret)[1:-1], html.escape(secret)}
    coded = {base64.b64encode(text.encode()).decode() for text in (secret, f"{username}:{secret}")}
    coded |= {text.rstrip("=") for text in coded}
    return frozenset({secret} | quoted | escaped | coded)


class SecretFilter(logging.Filter):
    """Takes secrets out of every record that passes, its traceback included.

    `secrets` may be replaced at any time, as when the configuration is read again.
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
