"""Keeping secrets out of log records, their tracebacks included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from langidd.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable


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
