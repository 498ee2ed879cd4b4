"""`listen`, `classify` and `check` as a person runs them, on a stock model."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from tests.cli.conftest import wave_file
from tests.conftest import DEMO_RECORDING

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


def decisions(text: list[str]) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in text]
    return [line for line in lines if line["type"] == "decision"]


def test_standard_input_says_what_a_file_says_and_ctrl_c_ends_it(stock_model: Path, excerpt: Path):
    common = ["--json", "--model", str(stock_model), "--name", "a"]
    from_file = CliRunner().invoke(app, ["listen", str(excerpt), *common])
    assert from_file.exit_code == 0, from_file.output
    expected = [line["language"] for line in decisions(from_file.stdout.splitlines())]
    assert expected
    with subprocess.Popen(
        [sys.executable, "-m", "langidd", "listen", "-", *common],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(excerpt.read_bytes()[44:])
        process.stdin.flush()
        heard: list[dict[str, object]] = []
        # The last ones wait for the end of the speech, and standard input has not ended.
        while len(heard) < len(expected) // 2:
            heard += decisions([process.stdout.readline().decode()])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"Traceback" not in process.stderr.read()
    assert [line["language"] for line in heard] == expected[: len(heard)]


def test_on_a_terminal_it_is_a_picture(
    stock_model: Path, excerpt: Path, monkeypatch: pytest.MonkeyPatch
):
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(iter(lambda: _read(ours), b"")))
    reader.start()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        app(
            ["listen", str(excerpt), "--model", str(stock_model), "--name", "hall"],
            standalone_mode=False,
        )
        monkeypatch.undo()
    reader.join(60)
    os.close(ours)
    text = b"".join(shown).decode()
    for part in ("hall", "██", "ended", "╭", "since 00:00"):
        assert part in text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""


def test_classify_goes_on_after_a_bad_file(stock_model: Path, excerpt: Path, tmp_path: Path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound at all")
    common = ["classify", str(excerpt), str(bad), "--model", str(stock_model)]
    table = CliRunner().invoke(app, common)
    assert table.exit_code == 1
    assert excerpt.name in table.stdout
    assert re.search(r"0:\d\d {4}0:\d\d\n", table.stdout), "speech and length"
    assert table.stderr.count("\n") == 1
    assert "bad.wav" in table.stderr

    lines = CliRunner().invoke(app, [*common, "--json"])
    (result,) = [json.loads(line) for line in lines.stdout.splitlines()]
    assert result["file"] == str(excerpt)
    assert 0 < result["speech_s"] <= result["duration_s"]
    ends = [span["end_s"] for span in result["spans"]]
    assert [span["start_s"] for span in result["spans"][1:]] == ends[:-1]

    rows = list(csv.DictReader(io.StringIO(CliRunner().invoke(app, [*common, "--csv"]).stdout)))
    assert len(rows) == len(result["spans"])
    assert rows[0]["file"] == str(excerpt)
    assert float(rows[-1]["end_s"]) == pytest.approx(ends[-1])


def test_classify_refuses_a_language_that_the_model_does_not_know(stock_model: Path, excerpt: Path):
    result = CliRunner().invoke(
        app, ["classify", str(excerpt), "--model", str(stock_model), "-l", "uz,fr"]
    )
    assert result.exit_code == 2
    assert "fr" in result.stderr


def test_check_says_what_is_wrong_with_each(stock_model: Path, tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        silence = wave_file(tmp_path / "silence.wav", bytes(2 * 16_000 * 2))
        config = tmp_path / "config.toml"
        config.write_text(
            f"""
            state_directory = "{tmp_path}"
            [model]
            path = "{stock_model}"
            [mqtt]
            host = "127.0.0.1"
            port = {port}
            username = "me"
            password = "{PASSWORD}"
            [[sources]]
            name = "recording"
            file = "{DEMO_RECORDING}"
            [[sources]]
            name = "silence"
            file = "{silence}"
            [[sources]]
            name = "lost"
            file = "/no/file.wav"
            [[sources]]
            name = "camera"
            rtsp = "rtsp://me:{PASSWORD}@127.0.0.1:{port}/x"
            """
        )
        result = CliRunner().invoke(app, ["check", "--config", str(config), "--timeout", "30"])
    assert result.exit_code == 1, result.output
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert "uz, ru, en" in lines["✓ model"]
    assert str(tmp_path) in lines["✓ state"]
    assert "dBFS" in lines["✓ source recording"]
    assert "digital silence" in lines["✓ source silence"]
    assert "/no/file.wav" in lines["✗ source lost"]
    assert "127.0.0.1" in lines["✗ broker"]
    assert "✗ source camera" in lines
    assert PASSWORD not in result.output


def test_check_of_what_is_right_ends_well(stock_model: Path, tmp_path: Path):
    config = tmp_path / "config.toml"
    config.write_text(
        f'[model]\npath = "{stock_model}"\n[[sources]]\nname = "a"\nfile = "{DEMO_RECORDING}"\n'
    )
    result = CliRunner().invoke(app, ["check", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "✗" not in result.stdout


def test_a_reader_that_leaves_ends_the_command(stock_model: Path):
    command = [
        *(sys.executable, "-m", "langidd", "listen", str(DEMO_RECORDING), "--realtime"),
        *("--json", "--model", str(stock_model)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
