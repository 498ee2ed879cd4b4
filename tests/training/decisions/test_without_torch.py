"""Decisions are measured on the base install: nothing there needs torch."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {
            "torch", "transformers", "scipy", "sklearn", "matplotlib", "datasets", "soundfile"
        }:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
import langidd_training.decisions as decisions
for module in pkgutil.iter_modules(decisions.__path__):
    importlib.import_module(f"langidd_training.decisions.{module.name}")
from langidd_training.cli import app
from typer.testing import CliRunner
for command in ([], ["score"], ["tune"], ["train"], ["evaluate"]):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
print("imported")
"""


def test_every_module_of_decisions_and_every_help_is_there_without_torch():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "imported"
