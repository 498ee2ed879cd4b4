"""A recording that ends early: its result, a line that says so, the next one, and no success."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from tests.conftest import require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cut(excerpt: Path, tmp_path: Path) -> Path:
    """Two thirds of nine seconds of speech."""
    require("ffmpeg")
    path = tmp_path / "cut.flac"
    subprocess.run(["ffmpeg", "-v", "error", "-i", excerpt, path], check=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def test_what_could_be_read_is_classified_and_the_others_go_on(
    cut: Path, excerpt: Path, stock_model: Path
):
    command = ["classify", str(cut), str(excerpt), "--json", "--model", str(stock_model)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    early, whole = map(json.loads, done.stdout.splitlines())
    assert "ends early at 0:0" in done.stderr
    assert "of 0:09" in done.stderr
    assert "ends early" in early["fault"]
    assert 4 < early["duration_s"] < 8
    assert early["spans"]
    assert "fault" not in whole
    assert whole["duration_s"] == pytest.approx(9, abs=0.1)


def test_a_track_that_is_not_there_is_one_line(excerpt: Path, stock_model: Path):
    command = ["classify", str(excerpt), "--track", "ru", "--model", str(stock_model)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "has no audio track ru; there is 0" in done.stderr


def test_listen_to_a_recording_that_ends_early_fails(cut: Path, stock_model: Path):
    command = ["listen", str(cut), "--json", "--model", str(stock_model)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code not in {0, None}
    assert "ends early at 0:0" in done.stdout + done.stderr
