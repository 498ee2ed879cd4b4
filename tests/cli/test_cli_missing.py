"""A source that is not there ends the command at once, before a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        pytest.fail("the model is loaded")

    monkeypatch.setattr("langidd.model.whisper.open.open_whisper", fails)


@pytest.mark.parametrize("what", ["file", "directory", "empty file", "device"])
def test_listen_ends_at_once(what: str, tmp_path: Path):
    (tmp_path / "empty.wav").touch()
    given = {
        "file": [str(tmp_path / "no.wav")],
        "directory": [str(tmp_path)],
        "empty file": [str(tmp_path / "empty.wav")],
        "device": ["--device", "99"],
    }[what]
    done = CliRunner().invoke(app, ["listen", *given])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("langidd: ")
    assert done.stderr.count("\n") == 1
    assert given[-1] in done.stderr


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_classify_without_any_file_that_is_there_ends_at_once(form: list[str], tmp_path: Path):
    names = [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    done = CliRunner().invoke(app, ["classify", *names, *form])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 2
    assert all(name in done.stderr for name in names)
