"""The wheel holds every package of the tree, and puts no other top level into site-packages."""

from __future__ import annotations

import tomllib

from tests.conftest import ROOT


def test_every_package_of_the_tree_is_installed():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join(file.relative_to(ROOT).parent.parts)
        for top in ("langidd", "training")
        for file in (ROOT / top).rglob("__init__.py")
    }
    installed = {name if name.startswith("langidd") else f"langidd_{name}" for name in found}
    assert set(setup["packages"]) == installed
    assert {name.split(".")[0] for name in installed} == {"langidd", "langidd_training"}
