"""The systemd unit is well-formed, and hardened as far as its work allows."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import ROOT, require

SHIPPED = Path(str(files("langidd.service.unit")))
DROP_INS = sorted(path.stem for path in (SHIPPED / "langidd.service.d").glob("*.conf"))


def unit(place: Path, *drop_ins: str) -> Path:
    """The unit with some of its drop-ins, as they would lie in /etc/systemd/system."""
    require("systemd-analyze")
    folder = place / "langidd.service.d"
    folder.mkdir()
    for name in drop_ins:
        shutil.copy(SHIPPED / "langidd.service.d" / f"{name}.conf", folder)
    return Path(shutil.copy(SHIPPED / "langidd.service", place))


def exposure(path: Path) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level .*?: ([\d.]+) ", done.stdout)
    assert found, done.stdout
    return float(found[1])


@pytest.mark.parametrize("drop_ins", [[], ["microphone"], ["gpu"], ["internet"], DROP_INS])
def test_verify_has_nothing_to_say(drop_ins: list[str], tmp_path: Path):
    done = subprocess.run(
        ["systemd-analyze", "verify", unit(tmp_path, *drop_ins)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("drop_ins", "most"),
    [([], 1.5), (["internet"], 1.5), (["microphone", "gpu"], 2.0), (DROP_INS, 2.0)],
)
def test_exposure(drop_ins: list[str], most: float, tmp_path: Path):
    assert exposure(unit(tmp_path, *drop_ins)) <= most


def test_the_repository_shows_the_units_that_are_shipped():
    assert (ROOT / "systemd").resolve() == (ROOT / "langidd" / "service" / "unit").resolve()


def test_every_drop_in_says_why():
    for name in DROP_INS:
        text = (SHIPPED / "langidd.service.d" / f"{name}.conf").read_text()
        assert text.startswith("# ")


def test_the_unit_gives_what_the_service_asks_for():
    text = (SHIPPED / "langidd.service").read_text()
    for line in (
        "Type=notify",
        "ExecReload=/bin/kill -HUP $MAINPID\nExecReload=/bin/sleep 1",
        "StateDirectory=langidd",
        "LoadCredential=credentials:/etc/langidd/credentials",
        "DynamicUser=yes",
    ):
        assert f"\n{line}\n" in text
