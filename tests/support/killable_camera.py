"""A camera that can be killed, frozen and cut off: an RTSP server behind a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import TYPE_CHECKING, Self

from tests.conftest import require
from tests.support.fault_proxy import FaultProxy
from tests.support.mosquitto_process import free_port
from tests.support.rtsp_process import SERVER

if TYPE_CHECKING:
    import signal
    from pathlib import Path


class Camera:
    """GStreamer's RTSP server as a process of its own, on a port that it keeps."""

    def __init__(self, name: str, recording: Path) -> None:
        require("gst-rtsp-server")
        self.name = name
        self._port = free_port()
        self._recording = recording
        self._process: subprocess.Popen[bytes] | None = None
        self.proxy = FaultProxy(self._port)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.proxy.port}/sound"

    async def __aenter__(self) -> Self:
        await self.proxy.__aenter__()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.proxy.__aexit__(None, None, None)
        self.kill()

    async def start(self) -> None:
        """Start the server; returns when it listens."""
        process = self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [
                "/usr/bin/python3", str(SERVER), "--port", str(self._port),
                "--stream", f"/sound={self._recording}:mulaw",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        word = await asyncio.to_thread(process.stdout.readline)
        assert word.startswith(b"ready"), "the RTSP server did not start"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
