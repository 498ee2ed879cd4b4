"""`service install` writes what the service needs, says so, and harms nothing that is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from langidd.config import load_settings
from langidd.errors import ServiceError
from langidd.service.unit.installation import service_command
from tests.conftest import DEMO_RECORDING, require

UNIT = "etc/systemd/system/langidd.service"
DROP_INS = "etc/systemd/system/langidd.service.d"
CONFIG = "etc/langidd/config.toml"


@pytest.fixture(autouse=True)
def _outside_of_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tests run: as if langidd were installed where services can see it."""
    monkeypatch.setattr("langidd.service.unit.installation._HIDDEN", ("/nowhere",))


def run(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["service", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def everything(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()
    }


def test_install_writes_and_says_each_thing(tmp_path: Path):
    lines = run("install", "--root", str(tmp_path), "--microphone", "--gpu")
    written = set(everything(tmp_path))
    assert written == {CONFIG, UNIT, f"{DROP_INS}/microphone.conf", f"{DROP_INS}/gpu.conf"}
    for name in written:
        assert any(line.startswith(f"wrote {tmp_path / name} ") for line in lines)
    assert (tmp_path / "etc/langidd/credentials").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / CONFIG).stat().st_mode & 0o777 == 0o644
    assert any("systemctl enable --now langidd" in line for line in lines)


def test_the_unit_starts_this_langidd(tmp_path: Path):
    run("install", "--root", str(tmp_path))
    unit = (tmp_path / UNIT).read_text()
    found = re.search(r"^ExecStart=(\S+)(.*)$", unit, re.MULTILINE)
    assert found
    assert os.access(found[1], os.X_OK)
    assert found[2].endswith(" run --config /etc/langidd/config.toml")
    require("systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / UNIT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_works_at_once(tmp_path: Path):
    run("install", "--root", str(tmp_path))
    settings = load_settings(tmp_path / CONFIG, environment=False)
    assert [source.file for source in settings.sources] == [DEMO_RECORDING]


def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path: Path):
    lines = run("install", "--root", str(tmp_path), "--dry-run", "--internet")
    assert list(tmp_path.iterdir()) == []
    assert lines[0].startswith("dry run")
    assert lines[1:] == run("install", "--root", str(tmp_path), "--internet")
    lines = run("uninstall", "--root", str(tmp_path), "--dry-run")
    assert f"removed {tmp_path / UNIT}" in lines
    assert (tmp_path / UNIT).exists()


def test_a_second_time_changes_nothing(tmp_path: Path):
    run("install", "--root", str(tmp_path))
    (tmp_path / CONFIG).write_text("# mine\n")
    before = everything(tmp_path)
    lines = run("install", "--root", str(tmp_path))
    assert everything(tmp_path) == before
    assert f"kept {tmp_path / CONFIG}" in lines
    assert f"unchanged: {tmp_path / UNIT}" in lines


def test_an_old_unit_is_replaced(tmp_path: Path):
    run("install", "--root", str(tmp_path))
    (tmp_path / UNIT).write_text("[Service]\n")
    assert any(line.startswith("replaced") for line in run("install", "--root", str(tmp_path)))
    assert "ExecStart" in (tmp_path / UNIT).read_text()


def test_uninstall_leaves_what_is_a_persons(tmp_path: Path):
    run("install", "--root", str(tmp_path), "--microphone")
    mine = tmp_path / DROP_INS / "mine.conf"
    mine.write_text("[Service]\nNice=5\n")
    lines = run("uninstall", "--root", str(tmp_path))
    assert set(everything(tmp_path)) == {CONFIG, f"{DROP_INS}/mine.conf"}
    assert f"kept {tmp_path / DROP_INS}: it holds other drop-ins" in lines
    mine.unlink()
    run("uninstall", "--root", str(tmp_path))
    assert not (tmp_path / DROP_INS).exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "etc").write_text("a file")
    result = CliRunner().invoke(app, ["service", "install", "--root", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert str(tmp_path / "etc") in result.stderr


def test_a_langidd_that_the_service_cannot_see_is_refused(monkeypatch: pytest.MonkeyPatch):
    home = str(Path(sys.executable).absolute().parent.parent)
    monkeypatch.setattr("langidd.service.unit.installation._HIDDEN", (home,))
    with pytest.raises(ServiceError, match="/opt/langidd"):
        service_command()
