"""A TCP server that does what a test says, and leaves no connection open."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    Handler = Callable[
        [asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]
    ]


@asynccontextmanager
async def serving(handler: Handler, port: int, *, limit: int = 2**16) -> AsyncIterator[None]:
    """Serve each connection with `handler`; at the end all of them are cut."""
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks[asyncio.ensure_future(serve(reader, writer))] = writer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", port, limit=limit)
    try:
        yield
    finally:
        server.close()
        for _ in range(5):  # what the loop has accepted reaches `accept`
            await asyncio.sleep(0)
        for task, writer in tasks.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets
