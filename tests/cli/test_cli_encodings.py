"""Whatever a file is called and whatever a terminal can show: no traceback, and whole output."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from tests.cli.conftest import wave_file
from tests.cli.test_cli_help import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from click.testing import Result

NARROW = ("ascii", "latin-1", "koi8-r", "cp1251")
NAMES = {
    b"bad\xffname.wav": r"bad\xffname.wav",
    b"new\nline.wav": r"new\nline.wav",
    b"\x1b[31mred.wav": r"\x1b[31mred.wav",
    "Қизил 😀.wav".encode(): "Қизил 😀.wav",
}


def run(*arguments: str | bytes | Path, encoding: str = "utf-8") -> Result:
    """Run the command line with standard output and standard error in that encoding."""
    words = [os.fsdecode(word) for word in arguments]
    return CliRunner(charset=encoding).invoke(app, words, env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def odd_names(
    conversation: npt.NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """A directory with a recording of each name."""
    place = os.fsencode(tmp_path_factory.mktemp("names"))
    samples = (conversation[: 16_000 * 3] * 32_767).astype("<i2").tobytes()
    short = wave_file(tmp_path_factory.mktemp("short") / "short.wav", samples)
    for name in NAMES:
        shutil.copy(short, os.path.join(place, name))  # noqa: PTH118 - names are bytes
    return place


@pytest.mark.parametrize("encoding", ["utf-8", "koi8-r"])
def test_every_name_in_every_form(encoding: str, stock_model: Path, odd_names: bytes):
    paths = [os.path.join(odd_names, name) for name in NAMES]  # noqa: PTH118 - names are bytes
    common = ["classify", *paths, "--model", str(stock_model)]

    lines = run(*common, "--json", encoding=encoding)
    assert lines.exit_code == 0, lines.stderr
    results = [json.loads(line) for line in lines.stdout_bytes.decode(encoding).splitlines()]
    assert [result["file"].rpartition("/")[2] for result in results] == [
        name.decode("utf-8", "backslashreplace") for name in NAMES
    ]

    rows = run(*common, "--csv", encoding=encoding)
    text = io.StringIO(rows.stdout_bytes.decode(encoding), newline="")
    assert len({row["file"] for row in csv.DictReader(text)}) == len(NAMES)

    table = run(*common, encoding=encoding)
    assert table.exit_code == 0, table.stderr
    assert b"\x1b[31mred" not in table.stdout_bytes
    shown = table.stdout_bytes.decode(encoding).splitlines()
    assert [line.split()[0] for line in shown[1 : len(NAMES) + 1]] == [
        name.encode(encoding, "backslashreplace").decode(encoding).split()[0]
        for name in NAMES.values()
    ]


def test_a_bad_file_of_an_odd_name_is_one_line(stock_model: Path, tmp_path: Path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff\n\x1b[31m.wav")  # noqa: PTH118
    with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(b"no sound")
    for command in ("classify", "listen"):
        done = run(command, path, "--model", str(stock_model))
        assert done.exit_code in {1, 2}
        said = done.output
        assert "Traceback" not in said
        assert "\x1b" not in said
        assert rb"\xff\n\x1b[31m.wav" in done.stderr_bytes


def test_listen_takes_a_file_of_any_name(stock_model: Path, odd_names: bytes):
    for name in NAMES:
        path = os.path.join(odd_names, name)  # noqa: PTH118 - names are bytes
        done = run("listen", path, "--json", "--model", str(stock_model), encoding="latin-1")
        assert done.exit_code == 0, done.stderr
        for line in done.stdout_bytes.decode("latin-1").splitlines():
            json.loads(line)


@pytest.mark.parametrize("encoding", NARROW)
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_on_any_terminal(command: str, encoding: str):
    done = run(*command.split(), "--help", encoding=encoding)
    assert done.exit_code == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("encoding", NARROW[1:])
def test_check_on_any_terminal(encoding: str, stock_model: Path, excerpt: Path, tmp_path: Path):
    config = tmp_path / "config.toml"
    config.write_text(
        f'[model]\npath = "{stock_model}"\n[[sources]]\nname = "Ҳовли"\nfile = "{excerpt}"\n'
        '[[sources]]\nname = "lost"\nfile = "/no/file.wav"\n',
        "utf-8",
    )
    done = run("check", "--config", config, encoding=encoding)
    assert done.exit_code == 1, done.stderr
    said = done.stdout_bytes.decode(encoding)
    assert "ok configuration" in said
    assert "FAILED source lost" in said


def test_the_c_locale(stock_model: Path, odd_names: bytes):
    path = os.path.join(odd_names, b"bad\xffname.wav")  # noqa: PTH118 - a name of bytes
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
    environment |= {"LC_ALL": "C", "LANG": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "langidd", "classify", path, "--json", "--model", stock_model],
        capture_output=True,
        check=True,
        env=environment,
    )
    assert json.loads(done.stdout)["file"].endswith(r"bad\xffname.wav")


def test_logs_as_json_stay_json_in_any_encoding():
    code = (
        "import logging\n"
        "from langidd.config import LogSettings\n"
        "from langidd.observability.logging import configure_logs\n"
        "configure_logs(LogSettings(format='json'))\n"
        "logging.getLogger('x').warning('Ҳовли 😀 é \\udcff \\n%s', '\\x1b[31m')\n"
    )
    for encoding in ("utf-8", *NARROW):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        (line,) = done.stderr.decode(encoding).splitlines()
        assert json.loads(line)["message"].startswith("Ҳовли 😀 é")
