"""The same line again and again is shown a few times, then counted."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from langidd.observability.repeats import (
    KEYS_KEPT,
    REPEAT_WINDOW_S,
    REPEATS_SHOWN,
    RepeatFilter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


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
def stderr() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(clock: Clock, stderr: io.StringIO) -> Iterator[logging.Logger]:
    """A logger of its own, whose filter goes by the test's clock."""
    log = logging.Logger("cameras")  # noqa: LOG001 - apart from all others
    handler = logging.StreamHandler(stderr)
    handler.addFilter(RepeatFilter(handler, clock))
    log.addHandler(handler)
    yield log
    repeats_of(log).close()


def repeats_of(log: logging.Logger) -> RepeatFilter:
    (repeats,) = log.handlers[0].filters
    assert isinstance(repeats, RepeatFilter)
    return repeats


def test_repeats_are_counted_and_told(logger: logging.Logger, clock: Clock, stderr: io.StringIO):
    for _ in range(40):
        logger.warning("camera %s: no answer after %.1f s", "hall", clock.now)
        clock.now += 1
    assert stderr.getvalue().count("hall") == REPEATS_SHOWN
    clock.now += REPEAT_WINDOW_S
    logger.warning("another line")
    told = stderr.getvalue().splitlines()
    assert told[-2].endswith(f"… repeated {40 - REPEATS_SHOWN} times in 60 s")
    assert told[-1] == "another line"


def test_another_source_or_level_is_no_repeat(logger: logging.Logger, stderr: io.StringIO):
    for _ in range(REPEATS_SHOWN + 5):
        logger.warning("camera %s: no answer", "hall")
    logger.warning("camera %s: no answer", "garden")
    logger.error("camera %s: no answer", "hall")
    assert stderr.getvalue().count("hall") == REPEATS_SHOWN + 1
    assert "garden" in stderr.getvalue()


def test_what_was_hidden_is_told_at_the_end(logger: logging.Logger, stderr: io.StringIO):
    for _ in range(REPEATS_SHOWN + 2):
        logger.info("same")
    repeats_of(logger).close()
    assert "same … repeated 2 times" in stderr.getvalue()


def test_what_was_seen_is_bounded(logger: logging.Logger):
    for number in range(3 * KEYS_KEPT):
        logger.info("camera %s", str(number))
    assert len(repeats_of(logger)._seen) <= KEYS_KEPT


def test_what_is_fatal_is_never_hidden(logger: logging.Logger, stderr: io.StringIO):
    for _ in range(20):
        logger.critical("same")
    assert stderr.getvalue().count("same") == 20


def test_a_lock_is_not_held_by_a_line_that_logs(logger: logging.Logger, stderr: io.StringIO):
    class Talkative:
        def __str__(self) -> str:
            logger.warning("inner")
            return "outer"

    logger.warning("%s", Talkative())
    assert "outer" in stderr.getvalue()
