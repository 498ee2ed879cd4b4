"""langidd's own broker: amqtt on the loopback address, for the demo and where none is set."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from langidd.config import MqttSettings

_log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
SHUTDOWN_S: Final = 1.0
"""For the clients to be gone, then for the broker itself."""
_LISTENER: Final = "default"


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in this event loop, for this machine alone: no password, no TLS.

    It keeps nothing over a restart. `async with EmbeddedBroker() as broker:` serves on
    `broker.host`:`broker.port`; port 0 takes a free one. Raises OSError where it is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self.host = HOST
        self.port = port
        self._broker: Any = None
        self._server: asyncio.Server | None = None
        self._served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def settings(self, settings: MqttSettings) -> MqttSettings:
        """Return settings that reach this broker, which speaks MQTT 3.1.1 only."""
        return settings.model_copy(
            update={
                "host": self.host,
                "port": self.port,
                "protocol": "3.1.1",
                "username": None,
                "password": None,
                "tls": type(settings.tls)(),
            }
        )

    async def __aenter__(self) -> Self:
        # Imported here: amqtt brings much along, and most people have a broker.
        from amqtt.broker import Broker
        from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

        for name in ("amqtt", "transitions"):
            # They log every packet and every client that goes without a word.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # amqtt cannot be asked which port it got, so the listener is ours.
        self._broker = Broker(
            BrokerConfig(
                listeners={_LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
            )
        )
        await self._broker.start()
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
        except OSError:
            await self._broker.shutdown()
            raise
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        # Clients first: amqtt may wait for ever for the end of one that is still connected.
        for writer in self._served.values():
            writer.transport.abort()
        if self._served:
            await asyncio.wait(self._served, timeout=SHUTDOWN_S)
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await self._broker.shutdown()
        except TimeoutError:
            _log.warning("langidd's own broker did not end within %g s", SHUTDOWN_S)
        for task in self._served:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs every connection in a task
        self._served[task] = writer
        try:
            await self._broker.external_connected(
                StreamReaderAdapter(reader), StreamWriterAdapter(writer), _LISTENER
            )
        finally:
            del self._served[task]
            writer.close()
