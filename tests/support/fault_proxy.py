"""A TCP proxy that is as bad as a network: it delays, cuts, swallows, scrambles, refuses."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support.mosquitto_process import free_port

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(eq=False)
class Flow:
    """One connection through the proxy; `swallowed` ones stay so, as after a lost NAT table."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    swallowed: bool = False

    def cut(self) -> None:
        for side in (self.client, self.server):
            side.transport.abort()


class FaultProxy:
    """Listens on `port` and passes everything to `target` until it is told to misbehave."""

    def __init__(self, target: int, chance: random.Random | None = None) -> None:
        self.port = free_port()
        self._target = target
        self._chance = chance or random.Random(0)  # noqa: S311 - faults, no secrets
        self._flows: set[Flow] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._swallows = False
        self._scrambles = False
        self._delay_s = 0.0

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection that there is."""
        for flow in list(self._flows):
            flow.cut()

    def refuse(self) -> None:
        """Let nobody in, and reset those who are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def swallow(self) -> None:
        """Pass nothing on, and close nothing."""
        self._swallows = True
        for flow in self._flows:
            flow.swallowed = True

    def delay(self, seconds: float) -> None:
        """Hold back every piece of data."""
        self._delay_s = seconds

    def scramble(self) -> None:
        """Pass on noise instead of what the server says."""
        self._scrambles = True

    async def heal(self) -> None:
        """Be a good network again, for new connections; what was swallowed is lost."""
        self._swallows = self._scrambles = False
        self._delay_s = 0.0
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        flow = Flow(writer, before, swallowed=self._swallows)
        self._flows.add(flow)
        try:
            there = asyncio.create_task(self._pump(flow, reader, before, answers=False))
            back = asyncio.create_task(self._pump(flow, behind, writer, answers=True))
            # Cancelled only at the end of all: then nobody wants to hear of it.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._flows.discard(flow)
            flow.cut()
            there.cancel()
            back.cancel()

    async def _pump(
        self,
        flow: Flow,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answers: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if flow.swallowed:
                    continue
                writer.write(
                    self._chance.randbytes(len(data)) if self._scrambles and answers else data
                )
                await writer.drain()
            if flow.swallowed:
                await asyncio.Event().wait()  # the other end hung up; we pass not even that on
