"""No secret survives in a log record."""

from __future__ import annotations

import logging

from langidd.observability.redaction import SecretFilter

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


def record(message: object, *arguments: object, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "args": arguments, **more})


def test_a_record_is_rewritten_with_its_traceback():
    keeper = SecretFilter([PASSWORD])
    try:
        raise ValueError(f"no {PASSWORD}") from RuntimeError(f"rtsp://a:{PASSWORD}x@b/")
    except ValueError as error:
        made = record("%s: %s", PASSWORD, error, exc_info=(ValueError, error, error.__traceback__))
    made.stack_info = f"in {PASSWORD}"
    assert keeper.filter(made)
    text = logging.Formatter("%(message)s").format(made)
    assert PASSWORD not in text
    assert "RuntimeError" in text
    assert "***" in text


def test_a_record_whose_arguments_do_not_fit_is_shown_without_secrets():
    made = record("%d files of %s", PASSWORD)
    assert SecretFilter([PASSWORD]).filter(made)
    assert PASSWORD not in made.getMessage()
    assert "files of" in made.getMessage()


def test_new_secrets_count_at_once():
    keeper = SecretFilter()
    keeper.secrets |= {PASSWORD}
    made = record(PASSWORD)
    keeper.filter(made)
    assert made.getMessage() == "***"
