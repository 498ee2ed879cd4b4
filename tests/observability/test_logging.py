"""Logs in three forms, without floods, and without secrets on every path that they take."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from langidd.config import LogSettings
from langidd.observability.logging import (
    KEYS_KEPT,
    REPEAT_WINDOW_S,
    REPEATS_SHOWN,
    Handler,
    configure_logs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


class Said:
    """All that went to standard error."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capture.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Standard error, with the logging as it was afterwards."""
    root = logging.getLogger()
    before = (root.level, sys.excepthook, threading.excepthook, sys.unraisablehook)
    yield Said(capsys)
    for handler in [handler for handler in root.handlers if isinstance(handler, Handler)]:
        root.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)
    root.setLevel(before[0])
    sys.excepthook, threading.excepthook, sys.unraisablehook = before[1:]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logger(clock: Clock) -> Iterator[logging.Logger]:
    """A logger of its own, whose handler goes by the test's clock."""
    log = logging.Logger("cameras")  # noqa: LOG001 - apart from all others
    log.addHandler(Handler(clock))
    yield log
    for handler in log.handlers:
        handler.close()


def test_for_a_person(stderr: Said):
    configure_logs(LogSettings(format="human"))
    logging.getLogger("langidd.x").warning("camera %s is gone", "hall")
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING camera hall is gone\n", stderr.getvalue())


def test_as_json(stderr: Said):
    configure_logs(LogSettings(format="json"))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("langidd.x").exception("Кухня")
    (line,) = stderr.getvalue().splitlines()
    said = json.loads(line)
    assert said["message"] == "Кухня"
    assert (said["level"], said["logger"]) == ("error", "langidd.x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["time"])
    assert "two\nlines" in said["exception"]


def test_for_the_journal_every_line_has_its_priority(stderr: Said):
    configure_logs(LogSettings(format="journald", level="debug"))
    log = logging.getLogger("langidd.x")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)("a\nb")
    lines = stderr.getvalue().splitlines()
    assert [line[:3] for line in lines] == [
        f"<{number}>" for number in (7, 7, 6, 6, 4, 4, 3, 3, 2, 2)
    ]


def test_the_journal_is_known_by_its_socket():
    """systemd.exec(5): device and inode of standard error, so that a pipe is not mistaken."""
    code = (
        "import logging, os, sys\n"
        "if sys.argv[1] == 'journal':\n"
        "    status = os.fstat(2)\n"
        "    os.environ['JOURNAL_STREAM'] = f'{status.st_dev}:{status.st_ino}'\n"
        "from langidd.config import LogSettings\n"
        "from langidd.observability.logging import configure_logs\n"
        "configure_logs(LogSettings())\n"
        "logging.getLogger('x').warning('hello')\n"
    )
    for place, start in (("journal", "<4>x: hello"), ("pipe", "")):
        done = subprocess.run(
            [sys.executable, "-c", code, place],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "JOURNAL_STREAM": "1:2"},
        )
        assert done.stderr.startswith(start)
        assert done.stderr.startswith("<") == (place == "journal")


def test_the_level_counts_and_third_parties_are_quiet(stderr: Said):
    configure_logs(LogSettings(format="human", level="info"))
    logging.getLogger("langidd.x").debug("hidden")
    logging.getLogger("amqtt.broker").info("hidden")
    logging.getLogger("amqtt.broker").warning("shown")
    assert "hidden" not in stderr.getvalue()
    assert "shown" in stderr.getvalue()


def test_configuring_again_replaces(stderr: Said):
    configure_logs(LogSettings(format="json"))
    configure_logs(LogSettings(format="human"))
    logging.getLogger("langidd.x").warning("once")
    assert stderr.getvalue().count("once") == 1


def test_repeats_are_counted_and_told(logger: logging.Logger, clock: Clock, stderr: Said):
    for _ in range(40):
        logger.warning("camera %s: no answer after %.1f s", "hall", clock.now)
        clock.now += 1
    assert stderr.getvalue().count("hall") == REPEATS_SHOWN
    clock.now += REPEAT_WINDOW_S
    logger.warning("another line")
    told = stderr.getvalue().splitlines()
    assert told[-2].endswith(f"… repeated {40 - REPEATS_SHOWN} times in 60 s")
    assert told[-1] == "another line"


def test_another_source_or_level_is_no_repeat(logger: logging.Logger, stderr: Said):
    for _ in range(REPEATS_SHOWN + 5):
        logger.warning("camera %s: no answer", "hall")
    logger.warning("camera %s: no answer", "garden")
    logger.error("camera %s: no answer", "hall")
    assert stderr.getvalue().count("hall") == REPEATS_SHOWN + 1
    assert "garden" in stderr.getvalue()


def test_what_was_hidden_is_told_at_the_end(logger: logging.Logger, stderr: Said):
    for _ in range(REPEATS_SHOWN + 2):
        logger.info("same")
    logger.handlers[0].close()
    assert "same … repeated 2 times" in stderr.getvalue()


def test_what_was_seen_is_bounded(logger: logging.Logger):
    for number in range(3 * KEYS_KEPT):
        logger.info("camera %s", str(number))
    (handler,) = logger.handlers
    assert isinstance(handler, Handler)
    assert len(handler._seen) <= KEYS_KEPT


def test_what_is_fatal_is_never_hidden(logger: logging.Logger, stderr: Said):
    for _ in range(20):
        logger.critical("same")
    assert stderr.getvalue().count("same") == 20


def test_a_lock_is_not_held_by_a_line_that_logs(logger: logging.Logger, stderr: Said):
    class Talkative:
        def __str__(self) -> str:
            logger.warning("inner")
            return "outer"

    logger.warning("%s", Talkative())
    assert "outer" in stderr.getvalue()


EVERY_PATH = f"""
import asyncio, logging, sys, threading, warnings
from langidd.config import LogSettings
from langidd.observability.logging import configure_logs
secret = {PASSWORD!r}
url = f"rtsp://me:{{secret}}@camera/x"
form, last = sys.argv[1:]
configure_logs(LogSettings(format=form, level="debug"), [secret])
def fail(told): raise ValueError(told)
class Unraisable:
    def __del__(self): raise ValueError("unraisable " + secret)
async def forgotten():
    asyncio.get_running_loop().create_task(failing())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
async def failing(): raise ValueError("task " + url)
logging.getLogger("amqtt.client").error("third party %s", url)
logging.getLogger("libav.rtsp").error("libav %s", secret)
logging.warning("direct " + url)
logging.getLogger().info("stack " + secret, stack_info=True)
warnings.warn("warned " + url)
asyncio.run(forgotten())
thread = threading.Thread(target=fail, args=("thread " + url,), name="reader " + secret)
thread.start()
thread.join()
Unraisable()
try:
    fail("chained " + secret)
except ValueError:
    logging.getLogger("x").exception("logged " + secret)
if last == "group":
    raise ExceptionGroup("group " + secret, [ValueError("uncaught " + url)])
fail("uncaught " + url)
"""


@pytest.mark.parametrize("form", ["human", "json", "journald"])
@pytest.mark.parametrize("last", ["single", "group"])
def test_no_path_shows_a_secret(form: str, last: str):
    done = subprocess.run(
        [sys.executable, "-c", EVERY_PATH, form, last],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert PASSWORD not in said
    for path in ("third party", "libav", "direct", "stack", "warned", "task", "thread",
                 "unraisable", "chained", "logged", "uncaught"):  # fmt: skip
        assert path in said, path


def test_warnings_are_logged(stderr: Said):
    configure_logs(LogSettings(format="journald"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    assert "<4>py.warnings:" in stderr.getvalue()
