"""A real mosquitto, mosquitto_sub as a client that is not ours, and what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from langidd.types import Decision
from tests.conftest import require

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from langidd.publish.base import Publisher

PATIENCE_S = 30.0
"""For a busy machine; nothing waits this long where all is well."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Mosquitto:
    """A broker process on a port of its own, which it keeps over `kill` and `start`."""

    def __init__(self, directory: Path, lines: str = "allow_anonymous true") -> None:
        require("mosquitto")
        require("mosquitto_sub")
        self.directory = directory
        self.lines = lines
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        config = self.directory / "mosquitto.conf"
        config.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{self.lines}\n")
        self.process = self._spawn(config)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.directory / "mosquitto.log").read_text()) from None
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    def _spawn(self, config: Path) -> subprocess.Popen[bytes]:
        with (self.directory / "mosquitto.log").open("ab") as log:
            return subprocess.Popen(["mosquitto", "-c", str(config)], stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()


@dataclass(frozen=True)
class Received:
    topic: str
    retained: bool
    qos: int
    payload: str

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.payload)
        return content


class Listener:
    """mosquitto_sub: everything that it received, in order."""

    def __init__(self, *arguments: str) -> None:
        self.messages: list[Received] = []
        self.subscriptions = 0
        """How often the broker has granted the subscription: again after each reconnect."""
        self._arguments = arguments
        self._subscribed = asyncio.Event()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            # Line by line: mosquitto_sub would keep its own remarks until they fill a page.
            "stdbuf", "-oL", "mosquitto_sub", "-d", "-F", "=%t\t%r\t%q\t%p", *self._arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=2**22,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(PATIENCE_S):
            await self._subscribed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode().rstrip("\n")
            if text.startswith("="):
                topic, retained, qos, payload = text[1:].split("\t", 3)
                self.messages.append(Received(topic, retained == "1", int(qos), payload))
                self._news.set()
            elif text.startswith("Subscribed"):
                self.subscriptions += 1
                self._subscribed.set()
                self._news.set()

    def of(self, end: str) -> list[Received]:
        """What was received at the topics that end so."""
        return [each for each in self.messages if each.topic.endswith(end)]

    async def until(self, true: Callable[[Listener], object]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true(self):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            lines = "\n".join(f"{each.topic} {each.payload[:150]}" for each in self.messages)
            raise AssertionError(f"never received; only:\n{lines}") from None


def listen_all(port: int, *more: str) -> Listener:
    return Listener("-h", "127.0.0.1", "-p", str(port), "-t", "#", "-q", "1", *more)


def listen_events(port: int, name: str) -> Listener:
    """A subscriber with a persistent session: what it missed, the broker keeps."""
    return Listener(
        "-h", "127.0.0.1", "-p", str(port), "-t", "langidd/+/+/event",
        "-q", "1", "-c", "-i", name, "-k", "5",
    )  # fmt: skip


async def send(broker: Mosquitto, topic: str, payload: str, *more: str) -> None:
    """Publish as a client that is not ours."""
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port),
        "-t", topic, "-m", payload, "-q", "1", *more,
    )  # fmt: skip
    assert await process.wait() == 0


async def until(true: Callable[[], object]) -> None:
    """Wait for something of this process that nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - plain attributes: nothing to await
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        await publisher.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def decision(
    number: int = 0, *, source: str = "Kitchen", language: str = "uz", reason: Any = "change"
) -> Decision:
    """A decision; its number stands in its times."""
    at = 1_790_000_000.0 + number
    return Decision(
        source, language, 0.93, reason, since=at - 2, decided_at=at, previous="ru", speech_s=2.0,
        probabilities={"uz": 0.93, "ru": 0.05, "und": 0.02},
    )  # fmt: skip
