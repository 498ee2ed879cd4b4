"""The whole service as a process: `langidd run`, its log, its signals, systemd's socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 45.0
"""For a busy machine that loads a model; nothing waits this long where all is well."""


class Service:
    """`langidd run --config`; what it logs and what it tells systemd are kept."""

    def __init__(self, directory: Path, config: str) -> None:
        self.config = directory / "config.toml"
        self.config.write_text(config, encoding="utf-8")
        self.directory = directory
        self.log: list[str] = []
        self.told: list[str] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self.directory / "notify"))
        self._tasks = [asyncio.create_task(self._hear_notifications())]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "langidd", "run", "--config", str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"NOTIFY_SOCKET": str(self.directory / "notify")},
        )  # fmt: skip
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    async def until(self, true: Callable[[Service], object]) -> None:
        """Wait until something was logged or told that makes it true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true(self):
                    assert self.process.returncode is None, "\n".join(self.log)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError("never came; only:\n" + "\n".join(self.log)) from None

    async def ready(self) -> None:
        await self.until(lambda service: any("READY=1" in told for told in service.told))

    async def logged(self, text: str) -> None:
        await self.until(lambda service: any(text in line for line in service.log))

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait for its end, give its exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.log.append(line.decode().rstrip("\n"))
            self._news.set()

    async def _hear_notifications(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.told.append((await loop.sock_recv(self._socket, 8192)).decode())
            self._news.set()
