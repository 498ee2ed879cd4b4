"""The middle is pure: no clock, no chance, no torch, no event loop, no network reaches it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import langidd

MIDDLE = ["values", "vad", "segmenter", "windows", "pipeline", "decider", "presets"]
FORBIDDEN = {
    "asyncio",
    "time",
    "datetime",
    "random",
    "torch",
    "transformers",
    "socket",
    "threading",
    "logging",
}


@pytest.mark.parametrize("name", MIDDLE)
def test_a_pure_module_imports_nothing_with_effects(name: str) -> None:
    tree = ast.parse((Path(langidd.__file__).parent / f"{name}.py").read_text("utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported.isdisjoint(FORBIDDEN)


def test_the_middle_runs_where_torch_is_not_installed() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n" + "".join(
        f"import langidd.{name}\n" for name in MIDDLE
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
