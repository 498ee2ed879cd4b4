"""Logs in three forms, without floods, and without secrets on every path that they take."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from langidd.config import LogSettings
from langidd.observability.logging import configure_logs, early_logs

if TYPE_CHECKING:
    from tests.observability.conftest import Said

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


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


def test_a_warning_about_the_settings_is_shown_before_they_are_known(stderr: Said):
    early_logs()
    logging.getLogger("langidd.config").warning("rtsp://me:%s@camera", PASSWORD)
    logging.getLogger("langidd.config").info("hidden")
    (line,) = stderr.getvalue().splitlines()
    assert line.endswith("WARNING rtsp://***@camera")


def test_control_characters_do_not_reach_the_terminal(stderr: Said):
    for form in ("human", "journald"):
        configure_logs(LogSettings(format=form))
        logging.getLogger("langidd.x").warning("camera \x1b[31m%s\r", "\x9b2J")
        assert r"camera \x1b[31m\x9b2J\r" in stderr.getvalue()
    assert "\x1b" not in stderr.getvalue()
