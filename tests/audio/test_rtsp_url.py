"""Cameras' URLs: taken apart as their owners meant them, or refused without the password."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langidd.audio.rtsp_url import RtspUrl, parse_rtsp_url
from langidd.redaction import redact_url

SECRET = "Sesam"  # noqa: S105 - of no camera


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://camera/x", RtspUrl("rtsp", "camera", "camera", "/x")),
        ("RTSPS://camera:322", RtspUrl("rtsps", "camera", "camera:322", "")),
        ("rtsp://camera?channel=1", RtspUrl("rtsp", "camera", "camera", "?channel=1")),
        ("rtsp://camera/a@b#c", RtspUrl("rtsp", "camera", "camera", "/a@b#c")),
        ("rtsp://u@camera/", RtspUrl("rtsp", "camera", "camera", "/", "u")),
        ("rtsp://u:p%23%2Fw@camera/", RtspUrl("rtsp", "camera", "camera", "/", "u", "p#/w")),
        ("rtsp://u:p@ss:w@camera/", RtspUrl("rtsp", "camera", "camera", "/", "u", "p@ss:w")),
        ("rtsp://u:p[a]s%s@camera/", RtspUrl("rtsp", "camera", "camera", "/", "u", "p[a]s%s")),
        ("rtsp://[fe80::1]:8554/x", RtspUrl("rtsp", "fe80::1", "[fe80::1]:8554", "/x")),
        ("rtsp://u:p@[::1]/x", RtspUrl("rtsp", "::1", "[::1]", "/x", "u", "p")),
    ],
)
def test_its_parts(url: str, expected: RtspUrl):
    assert parse_rtsp_url(url) == expected


@pytest.mark.parametrize(("sign", "written"), [("#", "%23"), ("/", "%2F"), ("?", "%3F")])
@pytest.mark.parametrize("form", ["rtsp://admin:{}{}9@camera/x", "rtsp://admin:{}{}9@[::1]:554/x"])
def test_a_sign_that_ends_the_host_is_named_with_what_to_write(sign: str, written: str, form: str):
    url = form.format(SECRET, sign)
    with pytest.raises(ValueError, match="in its password") as caught:
        parse_rtsp_url(url)
    assert f"has a {sign} in its password; write {written}" in str(caught.value)
    assert "password_file" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in redact_url(url)


def test_a_number_before_a_hash_is_a_password_too():
    with pytest.raises(ValueError, match="has a # in its password"):
        parse_rtsp_url("rtsp://admin:12#34@camera/x")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is no RTSP URL"),
        ("camera/x", "is no RTSP URL"),
        ("http://admin:Sesam@camera/x", "is no RTSP URL"),
        ("rtsp://", "has no host"),
        ("rtsp://admin:Sesam@/x", "has no host"),
        ("rtsp://[]/x", "has no host"),
        ("rtsp://[::1/x", "IPv6 address without brackets"),
        ("rtsp://fe80::1/x", r"IPv6 address without brackets; write rtsp://\[address\]:port/path"),
        ("rtsp://camera:x/y", "has no host that can be read"),
        ("rtsp://camera:99999/y", "port that does not exist; it must be 1 to 65535"),
        ("rtsp://camera:0/y", "port that does not exist"),
        ("rtsp://camera#y", "holds a #"),
        ("rtsp://admin:Ses am@camera/y", "holds a space or a control character"),
        ("rtsp://camera/\n", "holds a space or a control character"),
    ],
)
def test_what_cannot_be_used_says_why_and_shows_nothing(url: str, reason: str):
    with pytest.raises(ValueError, match=reason) as caught:
        parse_rtsp_url(url)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
)
def test_every_login_can_be_written_percent_encoded(user: str, password: str):
    url = f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@[::1]:554/x"
    parsed = parse_rtsp_url(url)
    assert (parsed.username or "", parsed.password or "") == (user, password)
    assert parsed.bare == "rtsp://[::1]:554/x"
