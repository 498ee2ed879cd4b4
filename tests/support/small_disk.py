"""A disk of a few megabytes that can be filled, and made read-only."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def mounted(place: Path, size_mib: int) -> bool:
    """Mount a small disk there, where we may; whether we could."""
    if os.geteuid() != 0:
        return False
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(place)]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


def unmount(place: Path) -> None:
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def fill(place: Path) -> None:
    """Write until the disk is full."""
    with (place / "filler").open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def remount(place: Path, mode: str) -> None:
    """Make the disk read-only (`ro`) or writable (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(place)], check=True)


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """What can be done to it."""

    place: Path

    def fill(self) -> None:
        fill(self.place)

    def empty(self) -> None:
        (self.place / "filler").unlink()

    def read_only(self) -> None:
        remount(self.place, "ro")

    def writable(self) -> None:
        remount(self.place, "rw")


@contextmanager
def small_disk(place: Path, size_mib: int = 1) -> Iterator[SmallDisk]:
    """Mount one there for the length of a test; skips the test where we may not."""
    if not mounted(place, size_mib):
        pytest.skip("a small disk is mounted by root only")
    try:
        yield SmallDisk(place)
    finally:
        unmount(place)
