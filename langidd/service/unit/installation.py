"""Installs and removes the service: unit, drop-ins, directories, configuration."""

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
"""The path in the example configuration that stands for the recording that langidd ships."""

AVAILABLE: Final = ("microphone", "gpu", "internet")

# The directories that ProtectHome=yes hides from the service, and those that PrivateTmp=yes does
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - names, not used


def install(root: Path, drop_ins: Sequence[str], *, dry_run: bool) -> Iterator[str]:
    """Install the service below a directory.

    An existing configuration is always kept. A unit or drop-in with other content is replaced.

    Args:
        root: `/`, or another directory that stands for it.
        drop_ins: Some of `AVAILABLE`.
        dry_run: Write nothing.

    Yields:
        One line for each step.

    Raises:
        ServiceError: The command is where the service cannot see it, or a file cannot be
            written.

    """
    command = service_command()
    if dry_run:
        yield "dry run, nothing is changed:"
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
        "systemd creates the user langidd, /var/lib/langidd and /var/cache/langidd when the "
        "service starts (DynamicUser=, StateDirectory=, CacheDirectory=)"
    )
    yield f"next: edit {root / CONFIGURATION}, then"
    yield f"  langidd check --config {root / CONFIGURATION}"
    yield "  systemctl daemon-reload && systemctl enable --now langidd"


def uninstall(root: Path, *, dry_run: bool) -> Iterator[str]:
    """Remove the unit and the drop-ins that `install` wrote.

    Args:
        root: `/`, or another directory that stands for it.
        dry_run: Remove nothing.

    Yields:
        One line for each step.

    Raises:
        ServiceError: A file cannot be removed.

    """
    if dry_run:
        yield "dry run, nothing is changed:"
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
            yield f"kept {directory}: it holds other drop-ins"
        elif not dry_run:
            _attempt(directory, directory.rmdir)
            yield f"removed {directory}"
    for kept in (root / CONFIGURATION.parent, root / "var/lib/langidd", root / "var/cache/langidd"):
        if kept.exists():
            yield f"kept {kept}: remove it yourself if nothing in it is needed"
    yield "next: systemctl disable --now langidd; systemctl daemon-reload"


def service_command() -> str:
    """Return the command that starts langidd, quoted for a unit.

    Raises:
        ServiceError: The service cannot see it.

    """
    # Not resolved: the python of a virtual environment is a link.
    python = Path(sys.executable).absolute()
    beside = python.parent / "langidd"
    found = str(beside) if beside.exists() else shutil.which("langidd")
    words = [os.path.abspath(found)] if found else [str(python), "-m", "langidd"]  # noqa: PTH100 - keeps links
    hidden = [place for place in _HIDDEN if words[0].startswith(place + "/")]
    if hidden:
        raise ServiceError(
            f"langidd is installed in {python.parent.parent}, and the service cannot see "
            f"{hidden[0]}; install it elsewhere: python3 -m venv /opt/langidd && "
            "/opt/langidd/bin/pip install langidd"
        )
    # % and $ have a meaning in a unit, and a path may hold them.
    return " ".join(shlex.quote(word).replace("%", "%%").replace("$", "$$") for word in words)


def _shipped(name: str) -> str:
    return files("langidd.service.unit").joinpath(*name.split("/")).read_text("utf-8")


def _make_directory(path: Path, mode: int, *, dry_run: bool) -> str:
    if path.is_dir():
        return f"exists already: {path}/"

    def make() -> None:
        path.mkdir(parents=True)
        path.chmod(mode)

    if not dry_run:
        _attempt(path, make)
    return f"created {path}/ (mode {mode:04o})"


def _write(path: Path, text: str, *, keep: bool, dry_run: bool) -> str:
    if path.exists():
        if keep:
            return f"kept {path}"
        if path.read_text("utf-8") == text:
            return f"unchanged: {path}"
    said = "replaced" if path.exists() else "wrote"

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # To a new file first, so that a reader sees the old or the new content as a whole.
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
            f"{path} cannot be changed: {error.strerror}; use sudo or --root"
        ) from None
