"""Configuration and password files are read whichever editor saved them, or refused in a line."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from langidd.config import load_settings
from langidd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "пароль-horse"  # noqa: S105 - what must never be shown
TEXT = 'node = "Кухня"\n[mqtt]\nhost = "b"\n[[sources]]\nname = "a"\nfile = "a.wav"\n'
MARKED = {
    "UTF-8": b"",
    "UTF-8 with a byte order mark": codecs.BOM_UTF8,
    "UTF-16-LE": codecs.BOM_UTF16_LE,
    "UTF-16-BE": codecs.BOM_UTF16_BE,
    "UTF-32-LE": codecs.BOM_UTF32_LE,
}


def encoded(text: str, form: str) -> bytes:
    return MARKED[form] + text.encode(form.partition(" ")[0])


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("form", MARKED)
def test_a_configuration_in_every_marked_encoding(form: str, newline: str, tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_bytes(encoded(TEXT.replace("\n", newline), form))
    settings = load_settings(path, environment=False)
    assert settings.node == "Кухня"
    assert [source.name for source in settings.sources] == ["a"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("form", MARKED)
def test_mark_and_newline_are_no_part_of_a_password(form: str, end: str, tmp_path: Path):
    (tmp_path / "secret").write_bytes(encoded(PASSWORD + end, form))
    path = tmp_path / "config.toml"
    path.write_text('[mqtt]\nhost = "b"\nusername = "u"\npassword_file = "secret"\n')
    password = load_settings(path, environment=False).mqtt.password
    assert password is not None
    assert password.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (TEXT.encode("utf-16-be"), "UTF-16 without a byte order mark"),
        (codecs.BOM_UTF16_LE + b"odd", "UTF-16"),
        (TEXT.encode("koi8-r"), "UTF-8"),
        (codecs.BOM_UTF8, "empty"),
        (b"", "empty"),
    ],
    ids=["LE", "BE", "odd", "KOI8-R", "mark alone", "empty"],
)
def test_what_no_mark_names_is_refused_in_a_line(content: bytes, said: str, tmp_path: Path):
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(None, {"mqtt": {"password_file": str(tmp_path / "secret")}})
    assert str(caught.value).isprintable()
    if said != "empty":
        path = tmp_path / "config.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=said) as caught:
            load_settings(path, environment=False)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [f"user\n{PASSWORD}\n", f"\r\n{PASSWORD}", f"{PASSWORD}\0"])
def test_a_password_of_several_lines_is_refused_without_being_shown(content: str, tmp_path: Path):
    (tmp_path / "secret").write_text(content)
    with pytest.raises(ConfigError, match=r"password_file: .*(lines|NUL)") as caught:
        load_settings(None, {"mqtt": {"password_file": str(tmp_path / "secret")}})
    assert PASSWORD not in str(caught.value)


def test_a_variable_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANGIDD_MQTT__PASSWORD", "correct\udcffhorse")
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        load_settings()
    assert "horse" not in str(caught.value)
