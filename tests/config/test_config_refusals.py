"""What cannot stand is refused in one line: the key, what was given, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langidd.config import load_settings
from langidd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown

SOURCE = '[[sources]]\nname = "hall"\n'

REFUSED = {
    "unknown key": ("[mqtt]\nprot = 1", "mqtt.prot", "did you mean mqtt.port?"),
    "unknown table": ("[mqqt]\nhost = 'a'", "mqqt", "did you mean mqtt?"),
    "unknown key of a source": (SOURCE + "fiel = 'a'", "sources[0].fiel", "sources[0].file?"),
    "nothing near": ("zzzzzz = 1", "zzzzzz", "allowed: node, state_directory"),
    "too big": ("[mqtt]\nport = 99999", "mqtt.port is 99999", "at most 65535"),
    "text for a number": ("[mqtt]\nport = '1883'", "mqtt.port is '1883'", "a whole number"),
    "truth for a number": ("[mqtt]\nport = true", "mqtt.port is true", "a whole number"),
    "number for truth": ("[mqtt]\ndiscovery = 1", "mqtt.discovery is 1", "true or false"),
    "no number": ("[vad]\nthreshold = nan", "vad.threshold is nan", "a finite number"),
    "endless": ("[windows]\nlength_s = inf", "windows.length_s is inf", "a finite number"),
    "not in the list": (
        "[log]\nlevel = 'loud'",
        "log.level is 'loud'",
        "'debug', 'info', 'warning' or 'error'",
    ),
    "table for a list": ("[sources]\nname = 'a'", "sources is a table", "a list"),
    "text for a table": ("mqtt = 'broker'", "mqtt is text", "a table"),
    "hop over length": ("[windows]\nhop_s = 9.0", "hop_s 9", "at most length_s"),
    "window over 30 s": ("[windows]\nlength_s = 31", "windows.length_s is 31", "30"),
    "preset": ("[decision]\npreset = 'x'", "decision.preset = 'x'", "fast, balanced, steady"),
    "decision's number": (
        "[decision]\nenter_threshold = 3",
        "decision.enter_threshold = 3",
        "0.51 to 0.9999",
    ),
    "decision's order": (
        "[decision]\nleave_threshold = 0.9",
        "decision.leave_threshold = 0.9",
        "decision.enter_threshold",
    ),
    "wildcard in base": ("[mqtt]\nbase = 'a/#'", "mqtt.base is 'a/#'", "without #"),
    "URL for a host": ("[mqtt]\nhost = 'mqtt://b'", "mqtt.host is 'mqtt://b'", "without scheme"),
    "host with port": ("[mqtt]\nhost = 'b:1883'", "mqtt.host is 'b:1883'", "port"),
    "missing file": ("[mqtt.tls]\nenabled = true\nca_file = '/no/ca.pem'", "ca_file", "/no/ca.pem"),
    "file without TLS": ("[mqtt.tls]\ninsecure = true", "mqtt.tls", "enabled = true"),
    "no kind": (SOURCE, "sources[0]", "exactly one of device, rtsp and file"),
    "two kinds": (SOURCE + "file = 'a'\ndevice = 0", "device and file given", "exactly one"),
    "no name": ("[[sources]]\nfile = 'a'", "sources[0].name is missing", ""),
    "empty name": ("[[sources]]\nname = ' '\nfile = 'a'", "sources[0].name", "not be empty"),
    "name of two lines": ('[[sources]]\nname = "a\\nb"\nfile = "a"', "name", "printable"),
    "name without letters": ("[[sources]]\nname = '##'\nfile = 'a'", "'##'", "topic"),
    "negative device": (SOURCE + "device = -1", "sources[0].device is -1", "at least 0 or text"),
    "no RTSP": (SOURCE + "rtsp = 'http://c/'", "sources[0]", "rtsp://host/path"),
    "RTSP's port": (SOURCE + "rtsp = 'rtsp://c:99999/'", "sources[0]", "1 to 65535"),
    "stdin twice over": (SOURCE + "file = '-'\nloop = true", "loop", "standard input"),
    "no candidates": (
        SOURCE + "file = 'a'\ncandidates = []",
        "candidates is a list of 0",
        "at least 1",
    ),
    "candidate twice": (SOURCE + "file = 'a'\ncandidates = ['uz', 'uz']", "candidates", "once"),
    "candidate's case": (SOURCE + "file = 'a'\ncandidates = ['UZ']", "candidates[0] is 'UZ'", "uz"),
    "prior": (SOURCE + "file = 'a'\npriors = { uz = 2 }", "sources[0].priors.uz is 2", "at most 1"),
    "prior's language": (
        SOURCE + "file = 'a'\ncandidates = ['uz']\npriors = { ru = 0.2 }",
        "priors names ru",
        "candidates",
    ),
    "same name": (SOURCE + "file = 'a'\n" + SOURCE + "file = 'b'", "'hall'", "its own"),
    "same topic": (
        SOURCE + "file = 'a'\n[[sources]]\nname = 'Холл'\nfile = 'a'\n"
        "[[sources]]\nname = 'Kholl'\nfile = 'b'",
        "'Холл' and 'Kholl'",
        "kholl",
    ),
    "no TOML": ("[mqtt\nport = 1", "line 1", "bracket"),
    "stdin of two": (
        "[[sources]]\nname = 'a'\nfile = '-'\n[[sources]]\nname = 'b'\nfile = '-'",
        "sources",
        "only one can",
    ),
}


def refusal(place: Path, text: str) -> str:
    file = place / "config.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    said = str(caught.value)
    assert said.isprintable(), said
    assert "config.toml" in said
    return said.replace(str(place), "")


@pytest.mark.parametrize("case", REFUSED)
def test_names_the_key_and_what_is_allowed(case: str, tmp_path: Path):
    text, key, allowed = REFUSED[case]
    said = refusal(tmp_path, text)
    assert key in said
    assert allowed in said


@pytest.mark.parametrize(
    "text",
    [
        f"[mqtt]\npassword = ['{PASSWORD}']",
        f"[mqtt]\npasword = '{PASSWORD}'",
        f"[mqtt]\npassword = '{PASSWORD}'\npassword_file = '/etc/hostname'",
        f"[mqtt]\nhost = 'mqtt://me:{PASSWORD}@broker'",
        f"[mqtt]\nprotocol = '3.1.1'\npassword = '{PASSWORD}'",
        f"[mqtt]\npassword = '{PASSWORD}",
        f"mqtt = 'mqtt://me:{PASSWORD}@broker'",
        f"mqtt = '{PASSWORD}'",
        f"[mqtt.tls]\nkey_password = '{PASSWORD}'",
        f"[[sources]]\nname = 'a'\nrtsp = 'http://me:{PASSWORD}@camera'",
        f"[[sources]]\nname = 'a'\nrtsp = 'rtsp://me:{PASSWORD}@camera:port/'",
        f"[[sources]]\nname = 'a'\nrtsp = 'rtsp://me:{PASSWORD}@camera/'\npassword = 'other'",
        f"[[sources]]\nname = 'a'\nfile = 'b'\nrtsp = 'rtsp://me:{PASSWORD}@camera/'",
        f"[[sources]]\nname = 'a'\nrtsp = ['rtsp://me:{PASSWORD}@camera/']",
        f"[[sources]]\nname = 'rtsp://me:{PASSWORD}@camera/'\nfile = 3",
        f"[[sources]]\nname = 'a'\npassword = '{PASSWORD}'\nfile = 3",
        f"[[sources]]\nname = 'a'\ndevice = {{ password = '{PASSWORD}' }}",
    ],
)
def test_no_refusal_shows_a_password(text: str, tmp_path: Path):
    assert PASSWORD not in refusal(tmp_path, text)


@pytest.mark.parametrize("key", ["password", "tls.key_password"])
@pytest.mark.parametrize("pin", ["81726354", "8172.6354", "2081-07-26"])
def test_a_password_that_is_no_text_is_not_shown_either(key: str, pin: str, tmp_path: Path):
    said = refusal(tmp_path, f"[mqtt]\n{key} = {pin}")
    assert f"mqtt.{key} is no text; it must be text" in said
    assert pin not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\xff\xfe[mqt]", "UTF-16"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * (4 * 2**20 + 1), "more than 4194304 bytes"),
    ],
    ids=["missing", "UTF-16", "deep", "endless"],
)
def test_what_is_no_configuration_is_named(content: bytes | None, said: str, tmp_path: Path):
    file = tmp_path / "config.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(file)
    assert str(file) in str(caught.value)


def test_a_directory_is_no_configuration(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


@pytest.mark.parametrize("character", ["#", "?", "/"])
@pytest.mark.parametrize("host", ["camera", "camera:554", "[::1]:554"])
def test_a_url_whose_password_is_not_encoded_says_which_character(
    character: str, host: str, tmp_path: Path
):
    url = f"rtsp://me:{PASSWORD}{character}x@{host}/stream"
    said = refusal(tmp_path, f"{SOURCE}rtsp = '{url}'")
    assert PASSWORD not in said
    assert f"has a {character} in its password" in said
    assert f"%{ord(character):02X}" in said
    assert "password_file" in said


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://camera/a@b",
        "rtsp://camera:554/x?a=b@c",
        "rtsp://[::1]:554/a@b",
        "rtsp://camera/x#a@b",
        "rtsp://me:a%23b@[::1]/x",
        "rtsp://me:a@b@camera/x",
        "rtsp://me:a[b@camera/x",
    ],
)
def test_an_at_sign_elsewhere_is_no_fault(url: str):
    settings = load_settings(None, {"sources": [{"name": "a", "rtsp": url}]}, environment=False)
    bare = url
    for login in ("me:a%23b@", "me:a@b@", "me:a[b@"):
        bare = bare.replace(login, "")
    assert settings.sources[0].rtsp == bare


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[2001:db8::2]", "2001:db8::2"),
        ("broker.lan", "broker.lan"),
        ("192.168.1.2", "192.168.1.2"),
    ],
)
@pytest.mark.parametrize("table", ["mqtt", "http"])
def test_an_address_may_stand_in_brackets(table: str, given: str, host: str):
    settings = load_settings(None, {table: {"host": given}}, environment=False)
    assert getattr(settings, table).host == host


@pytest.mark.parametrize("host", ["[::1", "::1]", "[::1]:1883", "[broker]", "1:2:3", "a::b::c"])
def test_what_is_no_address_is_refused(host: str, tmp_path: Path):
    said = refusal(tmp_path, f"[mqtt]\nhost = '{host}'")
    assert f"mqtt.host is '{host}'" in said
