"""Keys that had other names are still read, with one line that names the new one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from langidd.cli.flags import assignments, nested
from langidd.config import Settings, load_settings
from langidd.config.renamed import RENAMED
from langidd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_in_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "config.toml"
    path.write_text("[vad]\nhang_over_s = 0.7\npadding_s = 0.1\n")
    settings = load_settings(path, environment=False)
    assert (settings.vad.min_silence_s, settings.vad.prefix_padding_s) == (0.7, 0.1)
    assert warnings(caplog) == [
        f"{path}: vad.hang_over_s is now called min_silence_s; the old name is still read",
        f"{path}: vad.padding_s is now called prefix_padding_s; the old name is still read",
    ]


def test_as_a_variable(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("LANGIDD_VAD__HANG_OVER_S", "0.7")
    assert load_settings().vad.min_silence_s == 0.7
    (said,) = warnings(caplog)
    assert "LANGIDD_VAD__HANG_OVER_S is now called min_silence_s" in said


def test_as_a_flag(caplog: pytest.LogCaptureFixture):
    flags = nested(assignments(["vad.hang_over_s=0.7"]))
    assert load_settings(None, flags, environment=False).vad.min_silence_s == 0.7
    assert flags == {"vad": {"hang_over_s": 0.7}}, "the caller's own stays as it was"
    (said,) = warnings(caplog)
    assert "--set vad.hang_over_s is now called" in said


def test_the_layers_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "config.toml"
    path.write_text("[vad]\nmin_silence_s = 0.3\n")
    monkeypatch.setenv("LANGIDD_VAD__HANG_OVER_S", "0.7")
    assert load_settings(path).vad.min_silence_s == 0.7


def test_in_every_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(RENAMED, "sources.patience_s", "stall_s")
    path = tmp_path / "config.toml"
    path.write_text('[[sources]]\nname = "a"\nfile = "a"\npatience_s = 5.0\n')
    assert load_settings(path, environment=False).sources[0].stall_s == 5
    monkeypatch.setenv("LANGIDD_SOURCES__0__PATIENCE_S", "6")
    assert load_settings(path).sources[0].stall_s == 6


def test_both_names_are_one_too_many(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("[vad]\nhang_over_s = 0.7\nmin_silence_s = 0.5\n")
    with pytest.raises(ConfigError, match="are both given"):
        load_settings(path, environment=False)


def test_every_new_name_is_a_key():
    for path, new in RENAMED.items():
        table, _, old = path.partition(".")
        keys = Settings.model_fields[table].annotation.model_fields
        assert new is None or new in keys
        assert old not in keys


def test_a_key_without_effect_is_named_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "config.toml"
    path.write_text("[decision]\nhold_s = 4.0\nconfidence_offset = 0.1\n")
    assert load_settings(path, environment=False).decision.min_dwell_s == 4.0
    assert warnings(caplog) == [
        f"{path}: decision.hold_s is now called min_dwell_s; the old name is still read",
        f"{path}: decision.confidence_offset has no effect any more; remove it",
    ]
