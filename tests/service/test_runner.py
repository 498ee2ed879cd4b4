"""The service as a process, and as systemd sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from langidd.cli import app
from tests.conftest import DEMO_RECORDING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown
PATIENCE_S = 60.0


def configuration(stock_model: Path, *names: str) -> str:
    sources = "".join(
        f'[[sources]]\nname = "{name}"\nfile = "{DEMO_RECORDING}"\nrealtime = true\nloop = true\n'
        for name in names
    )
    return f'[model]\npath = "{stock_model}"\nthreads = 1\n{sources}'


class Systemd:
    """The service's manager: hears what it says, tells it what it should do."""

    def __init__(self, place: Path) -> None:
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listening.bind(str(place))
        self.heard: list[dict[str, str]] = []

    def wait_for(
        self, key: str, value: str | None = None, *, within_s: float = PATIENCE_S
    ) -> dict[str, str]:
        """Wait until the service says `key`; what it said together with it."""
        end = time.monotonic() + within_s
        while (left := end - time.monotonic()) > 0:
            self.listening.settimeout(left)
            lines = self.listening.recv(8192).decode().splitlines()
            said = dict(line.split("=", 1) for line in lines)
            self.heard.append(said)
            if key in said and (value is None or value in said[key]):
                return said
        raise TimeoutError(key)

    def said_within(self, within_s: float, key: str) -> bool:
        """Whether it says `key` within that time."""
        try:
            self.wait_for(key, within_s=within_s)
        except TimeoutError:
            return False
        return True

    def forget(self) -> None:
        """Throw away what it has said and nobody has read."""
        self.listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.listening.recv(8192)


def wait_for_line(log: Path, text: str) -> None:
    """Wait until the log holds the text."""
    end = time.monotonic() + PATIENCE_S
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@contextmanager
def service(
    config: Path, systemd: Systemd, log: Path, *, module: str = "langidd", **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        **variables,
        "NOTIFY_SOCKET": systemd.listening.getsockname(),
        "WATCHDOG_USEC": "2000000",
    }
    environment.pop("WATCHDOG_PID", None)
    command = [sys.executable, "-m", module, "run", "--config", str(config)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    manager = Systemd(tmp_path / "notify")
    yield manager
    manager.listening.close()


def test_a_life_under_systemd(stock_model: Path, tmp_path: Path, systemd: Systemd):
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(configuration(stock_model, "hall", "garden"))
    with service(config, systemd, log) as process:
        first = systemd.wait_for("READY")
        assert "2 sources" in first["STATUS"]
        systemd.wait_for("STATUS", "2 of 2 sources live")
        systemd.wait_for("WATCHDOG")

        # What does not parse leaves everything as it is.
        config.write_text(f'[mqtt]\npasword = "{PASSWORD}"\n')
        process.send_signal(signal.SIGHUP)
        said = systemd.wait_for("RELOADING")
        assert int(said["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert "2 of 2 sources live" in systemd.wait_for("READY")["STATUS"]
        assert "the configuration stays as it was" in log.read_text()
        assert "did you mean mqtt.password?" in log.read_text()

        # What parses is taken over: one goes, one comes, one stays.
        config.write_text(configuration(stock_model, "hall", "attic"))
        process.send_signal(signal.SIGHUP)
        systemd.wait_for("RELOADING")
        systemd.wait_for("READY")
        systemd.wait_for("STATUS", "2 of 2 sources live")
        assert "attic" in log.read_text()
        assert log.read_text().count("hall: connecting") == 1, "what stayed was not restarted"

        process.send_signal(signal.SIGTERM)
        systemd.wait_for("STOPPING")
        status = process.wait(PATIENCE_S)
        # On a machine that has other things to do, 5 s may not be enough; then it says so.
        assert status == ("not all went out" in log.read_text())
    assert PASSWORD not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_watchdog_is_not_fed_while_a_model_fails_on_every_window(
    stock_model: Path, tmp_path: Path, systemd: Systemd
):
    config, log, switch = tmp_path / "config.toml", tmp_path / "log", tmp_path / "fails"
    config.write_text(configuration(stock_model, "hall"))
    with service(
        config, systemd, log, module="tests.support.faulty_model", FAULTY_MODEL=str(switch)
    ):
        systemd.wait_for("STATUS", "1 of 1 sources live")
        systemd.wait_for("WATCHDOG")
        switch.touch()
        systemd.wait_for("STATUS", "the model failed on each of the last")
        wait_for_line(log, "the watchdog is not fed")
        systemd.forget()
        # Well over what systemd waits for, which is 2 s: it would restart langidd here.
        assert not systemd.said_within(3.0, "WATCHDOG")
        switch.unlink()
        systemd.wait_for("WATCHDOG")
        wait_for_line(log, "windows are scored again")


def test_a_silent_pipe_and_a_camera_that_is_down_are_no_reason_to_restart(
    stock_model: Path, tmp_path: Path, systemd: Systemd
):
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(
        f'[model]\npath = "{stock_model}"\nthreads = 1\n'
        '[[sources]]\nname = "pipe"\nfile = "-"\nrealtime = true\nstall_s = 1\n'
        '[[sources]]\nname = "gate"\nrtsp = "rtsp://127.0.0.1:9/none"\n'
    )
    with service(config, systemd, log) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(2 * 16_000 * 3))
        process.stdin.flush()
        wait_for_line(log, "pipe: stalled")
        systemd.forget()
        # Several times the watchdog's 2 s.
        deadline = time.monotonic() + 8.0
        while time.monotonic() < deadline:
            systemd.wait_for("WATCHDOG", within_s=2.0)
        assert "the watchdog is not fed" not in log.read_text()


def test_a_reload_during_the_start_is_done_after_it(
    stock_model: Path, tmp_path: Path, systemd: Systemd
):
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(configuration(stock_model, "hall"))
    with service(config, systemd, log) as process:
        wait_for_line(log, "langidd")
        config.write_text(configuration(stock_model, "hall", "attic"))
        process.send_signal(signal.SIGHUP)
        systemd.wait_for("RELOADING")
        systemd.wait_for("READY")
        systemd.wait_for("STATUS", "2 of 2 sources live")
        assert "the configuration was read again: 2 sources" in log.read_text()
        assert "stays as it was" not in log.read_text()


def test_a_reload_changes_what_is_logged_and_how(
    stock_model: Path, tmp_path: Path, systemd: Systemd
):
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(configuration(stock_model, "hall"))
    with service(config, systemd, log) as process:
        systemd.wait_for("READY")
        config.write_text(
            configuration(stock_model, "hall") + '[log]\nlevel = "debug"\nformat = "json"\n'
        )
        process.send_signal(signal.SIGHUP)
        wait_for_line(log, "the configuration was read again")
        lines = [line for line in log.read_text().splitlines() if "was read again" in line]
        assert json.loads(lines[-1])["level"] == "info"
        config.write_text(configuration(stock_model, "hall") + '[log]\nlevel = "warning"\n')
        process.send_signal(signal.SIGHUP)
        systemd.wait_for("RELOADING")
        systemd.wait_for("READY")
        before = log.read_text().count("was read again")
        process.send_signal(signal.SIGHUP)
        systemd.wait_for("RELOADING")
        systemd.wait_for("READY")
        assert log.read_text().count("was read again") == before == 1, "only warnings and worse"


def test_an_end_before_the_beginning_is_at_once(stock_model: Path, tmp_path: Path):
    config = tmp_path / "config.toml"
    config.write_text(configuration(stock_model, "a"))
    with subprocess.Popen(
        [sys.executable, "-m", "langidd", "run", "--config", config],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "langidd" in process.stderr.readline()
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
        assert "Traceback" not in process.stderr.read()


def test_files_that_are_played_end_the_service(
    stock_model: Path, tmp_path: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
):
    config = tmp_path / "config.toml"
    config.write_text(configuration(stock_model, "a").replace("true", "false"))
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.listening.getsockname())
    result = CliRunner().invoke(app, ["run", "--config", str(config)])
    assert result.exit_code == 0, result.output
    systemd.wait_for("READY")
    systemd.wait_for("STOPPING")


def test_a_model_that_is_missing_is_one_line(
    tmp_path: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
):
    config = tmp_path / "config.toml"
    config.write_text(configuration(tmp_path / "nothing", "a"))
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.listening.getsockname())
    result = CliRunner().invoke(app, ["run", "--config", str(config)])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("langidd: ")
    assert "Traceback" not in result.stderr
    assert "READY" not in systemd.wait_for("STATUS"), "it never was"
