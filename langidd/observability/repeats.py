"""The same line again and again: shown a few times, then counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REPEAT_WINDOW_S: Final = 60.0

REPEATS_SHOWN: Final = 3
"""The same line is shown this often in a window, then counted."""

KEYS_KEPT: Final = 1000
"""Bounds the memory of the lines that were seen."""


@dataclass(slots=True)
class _Seen:
    """A line, the start of its window, and how often it came in it."""

    record: logging.LogRecord
    since: float
    count: int = 0


class RepeatFilter(logging.Filter):
    """Hides the repeats of a line, and has the handler write how many there were.

    Lines are the same where logger, level, text and every argument but the numbers are.

    Args:
        handler: Writes the counts; the filter is one of its filters, the first.
        clock: Seconds that only rise.

    """

    def __init__(
        self, handler: logging.Handler, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._handler = handler
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[object, ...], _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be shown; what is fatal always is."""
        if record.levelno >= logging.CRITICAL:
            return True
        arguments = record.args if isinstance(record.args, tuple) else (record.args,)
        words = tuple(str(word) for word in arguments if not isinstance(word, int | float))
        key = (record.name, record.levelno, str(record.msg), words)
        now = self._clock()
        with self._lock:
            due = self._due(now - REPEAT_WINDOW_S)
            if key not in self._seen:
                self._seen[key] = _Seen(record, now)
                if len(self._seen) > KEYS_KEPT:
                    due.append(self._seen.popitem(last=False)[1])
            self._seen[key].count += 1
            is_shown = self._seen[key].count <= REPEATS_SHOWN
        # Not under the lock: a handler may wait for one that a line in the making holds.
        self._write(due)
        return is_shown

    def close(self) -> None:
        """Write the counts that are left."""
        with self._lock:
            due = self._due(float("inf"))
        self._write(due)

    def _due(self, until: float) -> list[_Seen]:
        """Forget the windows that began before `until`."""
        keys = [key for key, seen in self._seen.items() if seen.since <= until]
        return [self._seen.pop(key) for key in keys]

    def _write(self, due: list[_Seen]) -> None:
        for seen in due:
            hidden = seen.count - REPEATS_SHOWN
            if hidden <= 0:
                continue
            elapsed_s = min(self._clock() - seen.since, REPEAT_WINDOW_S)
            # The first of them was shown, so the other filters have rewritten it.
            record = logging.makeLogRecord(seen.record.__dict__)
            record.created = time.time()
            record.msg = f"{record.getMessage()} … repeated {hidden} times in {elapsed_s:.0f} s"
            record.args, record.exc_info, record.exc_text = (), None, None
            self._handler.acquire()
            try:
                self._handler.emit(record)
            finally:
                self._handler.release()
