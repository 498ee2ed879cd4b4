"""The base install has no torch: what it brings is enough for all of langidd but CUDA."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from tests.conftest import DEMO_RECORDING, ROOT

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio", "transformers"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
"""

IMPORT_ALL = """
import importlib, pkgutil
import langidd
for module in pkgutil.walk_packages(langidd.__path__, "langidd."):
    if not module.name.startswith(("langidd.__main__", "langidd.model.whisper.torch_")):
        importlib.import_module(module.name)
        print(module.name)
"""

CLASSIFY = """
from langidd.cli import main
main()
"""


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + program, *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_but_those_of_cuda_is_imported_without_torch():
    imported = _run(IMPORT_ALL).split()
    assert "langidd.model.whisper.openvino_engine" in imported
    assert "langidd.bench.stages" in imported
    assert len(imported) > 80


def test_recordings_are_classified_without_torch():
    table = _run(CLASSIFY, "classify", "--csv", str(DEMO_RECORDING))
    named = [line.split(",") for line in table.splitlines()]
    assert {"uz", "ru", "en"} <= {field for fields in named for field in fields}


def test_the_dependencies_name_neither_torch_nor_transformers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"]}
    assert not base & {"torch", "torchaudio", "transformers"}
    assert {"openvino", "safetensors", "huggingface-hub"} <= base
