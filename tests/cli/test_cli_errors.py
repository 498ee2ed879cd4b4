"""What a person can put right is one line on standard error, and exit status 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from langidd.errors import ModelError, SourceError
from tests.conftest import DEMO_RECORDING

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown

WRONG = {
    "no source": (["listen"], "exactly one of"),
    "two sources": (["listen", "a.wav", "--device", "0"], "--device and FILE given"),
    "broker's path": (["listen", "a", "--mqtt", f"mqtt://u:{PASSWORD}@b/x"], "--mqtt"),
    "broker's scheme": (["listen", "a", "--mqtt", f"http://u:{PASSWORD}@b"], "mqtts://"),
    "broker's port": (["listen", "a", "--mqtt", f"mqtt://u:{PASSWORD}@b:no"], "--mqtt"),
    "camera": (["listen", "--rtsp", f"http://u:{PASSWORD}@camera/"], "rtsp://host/path"),
    "camera's password": (["listen", "--rtsp", "rtsp://c/", "--password-file", "/no"], "/no"),
    "set without value": (["listen", "a", "--set", "mqtt.port"], "KEY=VALUE"),
    "set of a password": (["listen", "a", "--set", f"mqtt.pasword={PASSWORD}"], "mqtt.password"),
    "set under a value": (["listen", "a", "-s", "node=x", "-s", "node.y=1"], "node"),
    "languages": (["listen", "a", "--languages", "UZ"], "candidates[0] is 'UZ'"),
    "preset": (["listen", "a", "--preset", "wild"], "fast, balanced, steady"),
    "two forms": (["classify", "a", "--json", "--csv"], "choose one"),
    "no file": (["run", "--config", "/no/config.toml"], "/no/config.toml"),
    "nothing to run": (["run", "--config", "/dev/null"], "[[sources]]"),
    "no file to check": (["check", "--config", "/no/config.toml"], "/no/config.toml"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_line_and_status_2(case: str):
    arguments, said = WRONG[case]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("langidd: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert PASSWORD not in result.output


def test_errors_within_groups_are_one_line(monkeypatch: pytest.MonkeyPatch):
    """Tasks that run together fail together."""

    async def fails(**_: object) -> None:
        raise ExceptionGroup(
            "tasks",
            [ExceptionGroup("inner", [SourceError(f"rtsp://u:{PASSWORD}@c is\naway")]),
             ModelError("other")],
        )  # fmt: skip

    monkeypatch.setattr("langidd.demo.show.show_demo", fails)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 2
    assert result.stderr == "langidd: rtsp://***@c is away\n"


def test_what_is_a_fault_of_ours_is_no_line_of_theirs(monkeypatch: pytest.MonkeyPatch):
    async def fails(**_: object) -> None:
        raise ExceptionGroup("tasks", [SourceError("away"), ZeroDivisionError()])

    monkeypatch.setattr("langidd.demo.show.show_demo", fails)
    result = CliRunner().invoke(app, ["demo"])
    assert isinstance(result.exception, ExceptionGroup)


def test_a_model_that_is_not_there(tmp_path: Path):
    result = CliRunner().invoke(
        app, ["listen", str(DEMO_RECORDING), "--model", str(tmp_path / "no")]
    )
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert str(tmp_path / "no") in result.stderr
