"""Puts the service in place: unit, drop-ins, directories, configuration; says each thing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langidd.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

UNIT: Final = Path("etc/systemd/system/langidd.service")
DROP_INS: Final = Path("etc/systemd/system/langidd.service.d")
CONFIGURATION: Final = Path("etc/langidd/config.toml")
CREDENTIALS: Final = Path("etc/langidd/credentials")

RECORDING: Final = Path("/usr/share/langidd/conversation.ogg")
"""Stands in the example configuration for the recording that comes with langidd."""

AVAILABLE: Final = ("microphone", "gpu", "internet")

# The directories that ProtectHome=yes hides from the service, and those that PrivateTmp=yes does
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - names, not used


def install(root: Path, drop_ins: Sequence[str], *, dry_run: bool) -> Iterator[str]:
    """Write what the service needs below `root`; yield a line for each thing.

    What is there already and the same stays; a configuration that is there always
    stays. A unit or drop-in of another text is replaced. Raises ServiceError where the
    command lies where the service could not see it, or something cannot be written.
    """
    command = service_command()
    if dry_run:
        yield "nothing is done; this is what would be:"
    for directory, mode in ((CONFIGURATION.parent, 0o755), (CREDENTIALS, 0o700)):
        yield _make_directory(root / directory, mode, dry_run=dry_run)
    recording = str(files("langidd.demo").joinpath(RECORDING.name))
    example = _shipped("config.toml").replace(str(RECORDING), recording)
    yield _write(root / CONFIGURATION, example, keep=True, dry_run=dry_run)
    unit = re.sub(
        r"^ExecStart=\S+ langidd ", f"ExecStart={command} ", _shipped(UNIT.name), flags=re.MULTILINE
    )
    yield _write(root / UNIT, unit, keep=False, dry_run=dry_run)
    for name in drop_ins:
        text = _shipped(f"{DROP_INS.name}/{name}.conf")
        yield _write(root / DROP_INS / f"{name}.conf", text, keep=False, dry_run=dry_run)
    yield (
        "user langidd, /var/lib/langidd and /var/cache/langidd: systemd makes them at the "
        "service's start (DynamicUser=, StateDirectory=, CacheDirectory=)"
    )
    yield f"next: edit {root / CONFIGURATION}, then"
    yield f"  langidd check --config {root / CONFIGURATION}"
    yield "  systemctl daemon-reload && systemctl enable --now langidd"


def uninstall(root: Path, *, dry_run: bool) -> Iterator[str]:
    """Remove the unit and the drop-ins that `install` knows; yield a line for each thing."""
    if dry_run:
        yield "nothing is done; this is what would be:"
    known = [root / DROP_INS / f"{name}.conf" for name in AVAILABLE]
    for path in (*known, root / UNIT):
        if not path.exists():
            continue
        if not dry_run:
            _attempt(path, path.unlink)
        yield f"removed {path}"
    directory = root / DROP_INS
    if directory.is_dir():
        if set(directory.iterdir()) - set(known):
            yield f"kept {directory}: it holds drop-ins of somebody else"
        elif not dry_run:
            _attempt(directory, directory.rmdir)
            yield f"removed {directory}"
    for kept in (root / CONFIGURATION.parent, root / "var/lib/langidd", root / "var/cache/langidd"):
        if kept.exists():
            yield f"kept {kept}: remove it yourself where nothing in it is needed"
    yield "next: systemctl disable --now langidd; systemctl daemon-reload"


def service_command() -> str:
    """Return how the unit starts langidd, quoted for it.

    Raises ServiceError where the service could not see it.
    """
    # Not resolved: the python of a virtual environment is a link, and is its environment.
    python = Path(sys.executable).absolute()
    beside = python.parent / "langidd"
    found = str(beside) if beside.exists() else shutil.which("langidd")
    words = [os.path.abspath(found)] if found else [str(python), "-m", "langidd"]  # noqa: PTH100 - keeps links
    hidden = [place for place in _HIDDEN if words[0].startswith(place + "/")]
    if hidden:
        raise ServiceError(
            f"langidd is installed in {python.parent.parent}, and the service sees nothing below "
            f"{hidden[0]}; install it elsewhere: python3 -m venv /opt/langidd && "
            "/opt/langidd/bin/pip install langidd"
        )
    # systemd reads % and $ in a command; a path may hold them.
    return " ".join(shlex.quote(word).replace("%", "%%").replace("$", "$$") for word in words)


def _shipped(name: str) -> str:
    return files("langidd.service.unit").joinpath(*name.split("/")).read_text("utf-8")


def _make_directory(path: Path, mode: int, *, dry_run: bool) -> str:
    if path.is_dir():
        return f"there already: {path}/"

    def make() -> None:
        path.mkdir(parents=True)
        path.chmod(mode)

    if not dry_run:
        _attempt(path, make)
    return f"made {path}/ (mode {mode:04o})"


def _write(path: Path, text: str, *, keep: bool, dry_run: bool) -> str:
    if path.exists():
        if keep:
            return f"kept {path} as it is"
        if path.read_text("utf-8") == text:
            return f"there already: {path}"
    said = "replaced" if path.exists() else "wrote"

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside it first: whoever reads it meanwhile sees the old one or the new one, whole.
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.chmod(0o644)
        beside.replace(path)

    if not dry_run:
        _attempt(path, write)
    return f"{said} {path} (mode 0644)"


def _attempt(path: Path, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        raise ServiceError(
            f"{path} cannot be changed: {error.strerror}; run it with sudo, or with --root"
        ) from None
