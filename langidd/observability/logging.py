"""Logs for people, as JSON, or for the journal, without secrets and without repeats."""

from __future__ import annotations

import codecs
import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TextIO

from langidd.errors import printable
from langidd.observability.repeats import RepeatFilter
from langidd.redaction import SecretFilter, redact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from langidd.config import LogSettings

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["auto", "human", "json", "journald"]

_TALKATIVE: Final = ("amqtt", "transitions", "mqtt", "aiomqtt", "httpx", "httpcore", "filelock",
                     "huggingface_hub", "transformers", "urllib3", "asyncio", "libav")  # fmt: skip
"""Third-party loggers that are of no interest below `warning`."""

# syslog's priorities, as sd-daemon(3) wants them at a line's start
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4),
                      (logging.INFO, 6), (0, 7))  # fmt: skip
_COLOURS: Final = {"DEBUG": "2", "INFO": "0", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure_logs(settings: LogSettings, secrets: Iterable[str] = ()) -> SecretFilter:
    """Make standard error the one place of every log, warning and uncaught exception.

    May be called again; the last call counts.

    Args:
        settings: The least level that is shown, and the form of a line.
        secrets: Texts that no line may show.

    Returns:
        The filter that keeps the secrets out; its `secrets` may be replaced.

    """
    return _install(settings.level, settings.format, secrets)


def early_logs() -> None:
    """Show warnings from before the settings are known, such as those about the settings."""
    _install("warning", "auto", ())


def _install(level: Level, form: Form, secrets: Iterable[str]) -> SecretFilter:
    secret_filter = SecretFilter(secrets)
    handler = Handler()
    handler.addFilter(secret_filter)
    handler.setFormatter(formatter(form, sys.stderr))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, Handler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(quiet, root.level))
    logging.captureWarnings(True)
    _catch_uncaught()
    return secret_filter


def final_line(text: str) -> str:
    """Return the error line of a failing command, without secrets, as standard error needs it."""
    filters = [inner for handler in logging.getLogger().handlers for inner in handler.filters]
    secrets = {
        secret for inner in filters if isinstance(inner, SecretFilter) for secret in inner.secrets
    }
    line = f"langidd: {printable(' '.join(redact(text, secrets).split()))}"
    return f"<3>{line}" if _is_journal(sys.stderr) else line


def formatter(form: Form, stream: TextIO) -> logging.Formatter:
    """Return the formatter for that form."""
    chosen = form if form != "auto" else ("journald" if _is_journal(stream) else "human")
    if chosen == "json":
        # Other encodings would escape characters in a form that is not JSON.
        return JsonFormatter(ascii_only=codecs.lookup(stream.encoding or "utf-8").name != "utf-8")
    if chosen == "journald":
        return JournalFormatter("%(name)s: %(message)s")
    return HumanFormatter(colour=stream.isatty() and "NO_COLOR" not in os.environ)


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is the journal itself, not a pipe within a service (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _lines(text: str) -> str:
    """Return the text without control characters in its lines."""
    return "\n".join(printable(line) for line in text.rstrip("\n").split("\n"))


class HumanFormatter(logging.Formatter):
    """`16:02:03 WARNING message`, the level in colour."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback's lines after it."""
        text = _lines(super().format(record))
        if not self._colour:
            return text
        return f"\x1b[{_COLOURS.get(record.levelname, '0')}m{text}\x1b[0m"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, exception."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._ascii_only = ascii_only

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            said["exception"] = record.exc_text
        return json.dumps(said, ensure_ascii=self._ascii_only)


class JournalFormatter(logging.Formatter):
    """Each line with the priority in front that sd-daemon(3) defines; the journal has the time."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        priority = next(number for least, number in _PRIORITIES if record.levelno >= least)
        return "\n".join(
            f"<{priority}>{line}" for line in _lines(super().format(record)).split("\n")
        )


class Handler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the time, without repeats."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.repeats = RepeatFilter(self)
        self.addFilter(self.repeats)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        # A live view of the terminal takes standard error's place while it runs.
        self.setStream(sys.stderr)
        super().emit(record)

    def close(self) -> None:
        """Write the counts of repeats that are left."""
        self.repeats.close()
        super().close()


def _catch_uncaught() -> None:
    """Log uncaught exceptions, so that secrets are removed from them too."""
    log = logging.getLogger("langidd")

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("internal error; please report it", exc_info=(kind, error, trace))

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and not issubclass(arguments.exc_type, SystemExit):
            name = arguments.thread.name if arguments.thread else "a thread"
            trace = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
            log.critical("%s failed", name, exc_info=trace)

    def unraisable(arguments: sys.UnraisableHookArgs) -> None:
        if arguments.exc_value is not None:
            trace = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
            log.error("%s: %r", arguments.err_msg or "ignored", arguments.object, exc_info=trace)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
