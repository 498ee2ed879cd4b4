"""What systemd hears, on a real socket of its kind."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from langidd.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = "@" + name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def heard(listening: socket.socket) -> dict[str, str]:
    lines = listening.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_life(systemd: socket.socket):
    notifier = Notifier()
    assert notifier.listening
    notifier.ready("2 of 2 sources live")
    assert heard(systemd) == {"READY": "1", "STATUS": "2 of 2 sources live"}
    notifier.alive()
    assert heard(systemd) == {"WATCHDOG": "1"}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    said = heard(systemd)
    assert said["RELOADING"] == "1"
    assert before <= int(said["MONOTONIC_USEC"]) <= time.clock_gettime_ns(1) // 1000
    notifier.stopping()
    assert heard(systemd)["STOPPING"] == "1"
    notifier.close()


def test_a_status_is_one_line_and_said_once(systemd: socket.socket):
    notifier = Notifier()
    notifier.status("kitchen\nREADY=1\n" + "x" * 5000)
    notifier.status("kitchen\nREADY=1\n" + "y" * 5000)
    notifier.status("other")
    notifier.status("other")
    notifier.alive()
    texts = [systemd.recv(8192).decode() for _ in range(4)]
    assert texts[0].startswith("STATUS=kitchen READY=1 x")
    assert all("\n" not in text for text in texts)
    assert len(texts[0]) < 300
    assert texts[2:] == ["STATUS=other", "WATCHDOG=1"]
    notifier.close()


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    assert not notifier.listening
    notifier.ready("x")
    notifier.alive()
    notifier.close()


def test_a_full_or_vanished_socket_stops_nothing(systemd: socket.socket):
    notifier = Notifier()
    for number in range(5000):
        notifier.status(f"{number}")
    systemd.close()
    notifier.alive()
    notifier.close()


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        ("60000000", None, 60.0),
        ("60000000", "own", 60.0),
        ("60000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_for_this_process(
    microseconds: str | None,
    process: str | None,
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
):
    for name, value in {
        "WATCHDOG_USEC": microseconds,
        "WATCHDOG_PID": str(os.getpid()) if process == "own" else process,
    }.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert Notifier().watchdog_s == seconds
