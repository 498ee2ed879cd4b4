"""langidd as a process that is killed, stopped and started again, and seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.mosquitto_process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK = Path(__file__).parent / "clock"
ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 90.0
"""For a busy machine that loads a model; nothing waits this long where all is well."""
LOOK_S = 0.2
"""Seconds between two looks at /readyz."""


class Langidd:
    """`langidd run`: its log, its health over HTTP, its memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config.toml"
        self.http_port = free_port()
        self.log: list[tuple[float, str]] = []
        self.health: dict[str, Any] = {}
        self.looked_at = 0.0
        """When the last answer came from /readyz (monotonic)."""
        self.live_since: dict[str, float] = {}
        """For each source that is live, since when (monotonic, to a look's interval)."""
        self._clock = directory / "clock"
        self._model_fails = directory / "model-fails"
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.set_clock(0.0)

    async def start(self) -> None:
        """Start it; returns when the model is warm and the sources were started."""
        began = time.monotonic()
        self.health = {}
        places = [str(CLOCK), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.faulty_model", "run", "--config", str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=2**22,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(places),
                "FAULTY_CLOCK": str(self._clock),
                "FAULTY_MODEL": str(self._model_fails),
                "OMP_NUM_THREADS": "1",
            },
        )  # fmt: skip
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._look())]
        await self.logged("ready:", since=began)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait for its end, give its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            status = await self.process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return status

    def set_clock(self, off_s: float) -> None:
        """Set its wall clock that far off ours."""
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(off_s), encoding="ascii")
        fresh.replace(self._clock)

    def break_model(self) -> None:
        """Make the model fail on every window."""
        self._model_fails.touch()

    def mend_model(self) -> None:
        self._model_fails.unlink()

    @property
    def reasons(self) -> str:
        """Why it was not ready at the last look; empty where it was."""
        return "; ".join(self.health.get("reasons", ["no answer yet"]))

    async def until(self, true: Callable[[], object], within_s: float = PATIENCE_S) -> float:
        """Wait for a line or a look that makes it true; returns when. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not true():
                assert self.process.returncode is None, self.tail()
                self._news.clear()
                await self._news.wait()
        return time.monotonic()

    async def logged(self, text: str, *, since: float, within_s: float = PATIENCE_S) -> float:
        """Wait for a line logged since that moment."""
        try:
            return await self.until(
                lambda: any(at >= since and text in line for at, line in reversed(self.log)),
                within_s,
            )
        except TimeoutError:
            raise AssertionError(f"{text!r} was never logged; only:\n{self.tail()}") from None

    def tail(self) -> str:
        return "\n".join(line for _, line in self.log[-60:])

    def state(self, source: str) -> str:
        """The source's state at the last look."""
        return str(self.health.get("sources", {}).get(source, "unknown"))

    def rss_mib(self) -> float:
        """Memory that is resident now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    async def metric(self, name: str) -> dict[str, float]:
        """A metric's values by their labels, as /metrics writes them."""
        text = await asyncio.to_thread(self._fetch, "metrics")
        return {
            line[len(name) :].rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith((name + "{", name + " "))
        }

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.log.append((time.monotonic(), line.decode(errors="replace").rstrip("\n")))
            self._news.set()

    async def _look(self) -> None:
        while True:
            try:
                self.health = json.loads(await asyncio.to_thread(self._fetch, "readyz"))
                self.looked_at = time.monotonic()
                self._note_live()
                self._news.set()
            except (OSError, ValueError):
                self._news.set()  # not there yet, stopped, or killed
            await asyncio.sleep(LOOK_S)

    def _note_live(self) -> None:
        live = [name for name, state in self.health["sources"].items() if state == "live"]
        self.live_since = {name: self.live_since.get(name, self.looked_at) for name in live}

    def _fetch(self, page: str) -> str:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}/{page}", timeout=10
            ) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:  # 503: not all is well, and the body says what
            return error.read().decode()
