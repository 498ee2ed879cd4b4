"""No secret survives: in texts, in URLs however they are written, in log records."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langidd.redaction import (
    SecretFilter,
    redact,
    redact_url,
    spellings,
    url_secrets,
)

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"rtsp://me:{PASSWORD}@camera/x", "rtsp://***@camera/x"),
        (f"rtsp://me:{PASSWORD}@camera:554/x?a=1", "rtsp://***@camera:554/x?a=1"),
        (f"mqtts://me:{PASSWORD}@[::1]:8883", "mqtts://***@[::1]:8883"),
        (f"rtsp://me:p@{PASSWORD}@camera/x", "rtsp://***@camera/x"),
        (f"rtsp://me:a/{PASSWORD}@camera/x", "rtsp://***@camera/x"),
        (f"rtsp://:{PASSWORD}@camera", "rtsp://***@camera"),
        (f"rtsp://{PASSWORD}@camera", "rtsp://***@camera"),
        (f"rtsp://camera/x?user=me&password={PASSWORD}&c=1",
         "rtsp://camera/x?user=me&password=***&c=1"),
        (f"rtsp://camera/user=me_password={PASSWORD}_channel=1",
         "rtsp://camera/user=me_password=***_channel=1"),
        (f"http://camera/?pwd={PASSWORD}", "http://camera/?pwd=***"),
        (f"http://camera/?token={PASSWORD}#x", "http://camera/?token=***"),
        (f"http://camera/?access_token={PASSWORD}_x/y&b=1", "http://camera/?access_token=***&b=1"),
        (f"http://camera/?apiKey={PASSWORD}", "http://camera/?apiKey=***"),
        (f"http://camera/?api_key={PASSWORD}", "http://camera/?api_key=***"),
        (f"http://camera/?a=1&sig={PASSWORD}%3D", "http://camera/?a=1&sig=***"),
        (f"http://camera/?X-Amz-Signature={PASSWORD}", "http://camera/?X-Amz-Signature=***"),
        (f"rtsp://camera/user=me_password={PASSWORD}_x_channel=1",
         "rtsp://camera/user=me_password=***_channel=1"),
        (f"rtsp://camera/key/{PASSWORD}/stream", "rtsp://camera/key/***/stream"),
        (f"rtsp://camera/live/token/{PASSWORD}", "rtsp://camera/live/token/***"),
        (f"https://camera/secret/{PASSWORD}?x=1", "https://camera/secret/***?x=1"),
        ("rtsp://camera/x", "rtsp://camera/x"),
        ("http://camera/?author=me&monkey=1", "http://camera/?author=me&monkey=1"),
        ("http://docs.example/a@b", "http://docs.example/a@b"),
    ],
)  # fmt: skip
def test_urls(url: str, shown: str):
    assert redact_url(url).removesuffix("#x") == shown


def test_urls_within_a_text():
    text = f"'rtsp://a:{PASSWORD}@one/x' and (mqtt://b:{PASSWORD}@two) failed"
    assert redact(text) == "'rtsp://***@one/x' and (mqtt://***@two) failed"


@pytest.mark.parametrize("secret", ["pä ss/w+rd", 'quo"te\\d', "пароль", "a&b<c>#d", "p%41"])
def test_a_known_secret_goes_however_it_is_written(secret: str):
    written = {
        "plain": secret,
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded, but for slashes": quote(secret),
        "percent-encoded in lower case": re.sub(
            "%..", lambda match: match[0].lower(), quote(secret, safe="")
        ),
        "a form's": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "JSON beyond ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "Python's": repr(secret)[1:-1],
        "HTML": html.escape(secret),
        "Basic": base64.b64encode(f"me:{secret}".encode()).decode(),
        "Basic without padding": base64.b64encode(f"me:{secret}".encode()).decode().rstrip("="),
        "bare Base64": base64.b64encode(secret.encode()).decode(),
    }
    known = spellings(secret, "me")
    for form, text in written.items():
        assert text not in redact(f"<{text}> refused", known), form


@given(before=st.text(max_size=20), secret=st.text(min_size=3, max_size=20), after=st.text())
def test_a_known_secret_never_survives(before: str, secret: str, after: str):
    assert secret not in redact(before + secret + after, [secret]).replace("***", "\0")


def test_a_secret_within_another_leaves_no_rest():
    assert redact("abcdef", ["abc", "abcdef"]) == "***"


def test_a_short_secret_goes_as_a_word_and_leaves_words_alone():
    assert redact("password ab refused, cabin", ["ab"]) == "password *** refused, cabin"


def test_the_secrets_of_a_url_are_found():
    assert url_secrets("rtsp://c/x?password=a%20b") == {"a%20b", "a b"}
    assert url_secrets("rtsp://c/key/abc/x?token=d/e_f&g=1") == {"abc", "d/e_f"}


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
