"""Logs: for a person, as JSON, or for the journal; without secrets and without floods."""

from __future__ import annotations

import codecs
import json
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TextIO

from langidd.observability.printable import printable
from langidd.observability.redaction import SecretFilter, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from langidd.config import LogSettings

Form = Literal["human", "json", "journald"]

REPEAT_WINDOW_S: Final = 60.0
REPEATS_SHOWN: Final = 3
"""The same line is shown this often in a window, then counted."""

KEYS_KEPT: Final = 1000
"""Bounds the memory of the lines that were seen."""

_TALKATIVE: Final = ("amqtt", "transitions", "mqtt", "aiomqtt", "httpx", "httpcore", "filelock",
                     "huggingface_hub", "transformers", "urllib3", "asyncio", "libav")  # fmt: skip
"""Third parties whose daily life is of no interest below `warning`."""

# syslog's priorities, as sd-daemon(3) wants them at a line's start
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4),
                      (logging.INFO, 6), (0, 7))  # fmt: skip
_COLOURS: Final = {"DEBUG": "2", "INFO": "0", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure_logs(settings: LogSettings, secrets: Iterable[str] = ()) -> SecretFilter:
    """Make standard error the one place of every log, warning and uncaught exception.

    May be called again. Returns the filter that keeps the secrets out, for new secrets.
    """
    secret_filter = SecretFilter(secrets)
    handler = Handler()
    handler.addFilter(secret_filter)
    handler.setFormatter(formatter(settings.format, sys.stderr))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, Handler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    quiet = logging.DEBUG if settings.level == "debug" else logging.WARNING
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(quiet, root.level))
    logging.captureWarnings(True)
    _catch_uncaught()
    return secret_filter


def final_line(text: str) -> str:
    """Return the last line that a failing command says: without secrets, as stderr wants it."""
    filters = [inner for handler in logging.getLogger().handlers for inner in handler.filters]
    secrets = {
        secret for inner in filters if isinstance(inner, SecretFilter) for secret in inner.secrets
    }
    line = f"langidd: {printable(' '.join(redact(text, secrets).split()))}"
    return f"<3>{line}" if _is_journal(sys.stderr) else line


def formatter(
    form: Literal["auto", "human", "json", "journald"], stream: TextIO
) -> logging.Formatter:
    """Return what writes a record in that form."""
    chosen: Form = form if form != "auto" else ("journald" if _is_journal(stream) else "human")
    if chosen == "json":
        # Each encoding that is not UTF-8 has escapes of its own, which are none of JSON's.
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


class HumanFormatter(logging.Formatter):
    """`16:02:03 WARNING message`, the level in colour."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback's lines after it."""
        text = super().format(record)
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
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


@dataclass(slots=True)
class _Seen:
    """A line, how often it came in its window, and its window's start."""

    record: logging.LogRecord
    since: float
    count: int = 0


class Handler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is now; counts repeats instead of showing them.

    Lines are the same where logger, level, text and every argument but the numbers are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(sys.stderr)
        self._clock = clock
        self._seen: OrderedDict[tuple[object, ...], _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Let a record pass that was not seen too often of late."""
        if record.levelno < logging.CRITICAL and not self._is_due(record):
            return False
        return super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, after the counts that are due."""
        # A live view of the terminal takes standard error's place while it runs.
        self.setStream(sys.stderr)
        self._tell_repeats(self._clock() - REPEAT_WINDOW_S)
        super().emit(record)

    def close(self) -> None:
        """Write the counts that are left."""
        with self.lock or threading.RLock():
            self._tell_repeats(float("inf"))
        super().close()

    def _is_due(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else (record.args,)
        words = tuple(str(word) for word in arguments if not isinstance(word, int | float))
        key = (record.name, record.levelno, str(record.msg), words)
        now = self._clock()
        with self.lock or threading.RLock():
            self._tell_repeats(now - REPEAT_WINDOW_S)
            seen = self._seen.get(key)
            if seen is None:
                seen = self._seen[key] = _Seen(record, now)
                if len(self._seen) > KEYS_KEPT:
                    self._tell(self._seen.popitem(last=False)[1])
            seen.count += 1
            return seen.count <= REPEATS_SHOWN

    def _tell_repeats(self, until: float) -> None:
        """Forget the windows that began before `until`, saying what they hid."""
        for key in [key for key, seen in self._seen.items() if seen.since <= until]:
            self._tell(self._seen.pop(key))

    def _tell(self, seen: _Seen) -> None:
        hidden = seen.count - REPEATS_SHOWN
        if hidden <= 0:
            return
        told = logging.makeLogRecord(seen.record.__dict__)
        told.created = time.time()
        elapsed_s = min(self._clock() - seen.since, REPEAT_WINDOW_S)
        told.msg = f"{seen.record.getMessage()} … repeated {hidden} times in {elapsed_s:.0f} s"
        told.args, told.exc_info, told.exc_text = (), None, None
        if super().filter(told):
            super().emit(told)


def _catch_uncaught() -> None:
    """Send what nobody caught through the log, where the secrets are taken out."""
    log = logging.getLogger("langidd")

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("this is a fault of langidd", exc_info=(kind, error, trace))

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
