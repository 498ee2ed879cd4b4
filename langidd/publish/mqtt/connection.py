"""One connection to the broker: aiomqtt's client, and no way to hang in it.

What aiomqtt 2.5 leaves to its users, and is settled here:

- connecting runs in a thread that cancelling leaves behind, socket and all; an attempt
  that timed out can still succeed later and take over the session of the next one;
- a broker that closes the connection instead of answering CONNECT costs the whole
  timeout, and the reason (a TLS alert) is only logged;
- `publish` neither ends when the connection is lost nor looks at the acknowledgement's
  reason code: with MQTT 5 a broker refuses a message there;
- an error while reading ends the connection without closing its socket;
- leaving the context always says DISCONNECT, which keeps the Last Will from being sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from langidd.publish.mqtt.tls import tls_context

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.enums import MQTTErrorCode
    from paho.mqtt.reasoncodes import ReasonCode

    from langidd.config import MqttSettings

CONNECT_S: Final = 5.0
"""For the TCP connection, for each address of the host; then for TLS."""
ANSWER_S: Final = 10.0
"""For the answer to CONNECT, and for each acknowledgement after it."""
IN_FLIGHT: Final = 20
"""Messages on their way that are not acknowledged yet (paho's own bound)."""
LARGEST_INBOUND: Final = 64 * 1024
"""Bytes of a message that a broker may send us (MQTT 5 only: 3.1.1 has no such limit)."""
QUEUED_INBOUND: Final = 100


class RefusedError(aiomqtt.MqttError):
    """The broker took a message and said that it will not have it."""

    def __init__(self, topic: str, reason: ReasonCode) -> None:
        super().__init__(f"the broker refuses messages to {topic}: {reason}")
        self.topic = topic
        self.code = int(reason.value)


class _LastWords(logging.Handler):
    """Keeps paho's last complaint: the only place where it says why a socket failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class Connection(aiomqtt.Client):
    """A client for one connection: `open`, then publish and listen, then `leave` or `abandon`.

    Made in the event loop. Every call ends: with what was asked, or with aiomqtt.MqttError.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        will: aiomqtt.Will | None,
        context: ssl.SSLContext | None,
    ) -> None:
        assert settings.host is not None  # noqa: S101 - whoever has no broker starts one first
        self._words = _LastWords()
        # A logger of its own, outside the tree: one complaint a fault, and we write it.
        logger = logging.Logger("paho", logging.WARNING)  # noqa: LOG001 - kept out of the tree
        logger.addHandler(self._words)
        properties = None
        if settings.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST_INBOUND
        super().__init__(
            settings.host,
            settings.port_number,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5
            if settings.protocol == "5"
            else aiomqtt.ProtocolVersion.V311,
            will=will,
            timeout=ANSWER_S,
            keepalive=settings.keepalive_s,
            tls_context=context,
            properties=properties,
            logger=logger,
            max_inflight_messages=IN_FLIGHT,
            max_queued_incoming_messages=QUEUED_INBOUND,
        )
        self._client.connect_timeout = CONNECT_S
        self._client.suppress_exceptions = False
        self._abandoned = False
        self._acknowledgements: dict[int, asyncio.Future[ReasonCode]] = {}
        for future in (self._connected, self._disconnected):
            future.add_done_callback(_look_at)

    @classmethod
    async def to(
        cls, settings: MqttSettings, *, client_id: str, will: aiomqtt.Will | None
    ) -> Connection:
        """Make one and open it. Raises BrokerError for TLS files, else what `open` raises."""
        tls = settings.tls
        context = await asyncio.to_thread(tls_context, tls) if tls.enabled else None
        connection = cls(settings, client_id=client_id, will=will, context=context)
        await connection.open()
        return connection

    async def open(self) -> None:
        """Connect, and return when the broker has accepted us.

        Raises aiomqtt.MqttConnectError where it refuses, and otherwise MqttError, OSError or
        ValueError. Nothing of a failed or cancelled attempt stays behind.
        """
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        finished.add_done_callback(_look_at)

        def settle(error: Exception | None) -> None:
            if not finished.done():
                if error is None:
                    finished.set_result(None)
                else:
                    finished.set_exception(error)

        def connect() -> None:
            error: Exception | None = None
            try:
                self._client_connect()
            except Exception as raised:  # noqa: BLE001 - handed to whoever waits
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(settle, error)

        # A daemon: a name server that does not answer must not keep the process from ending.
        threading.Thread(target=connect, name="mqtt-connect", daemon=True).start()
        try:
            await finished
            await self._answer()
        except BaseException:
            self.abandon()
            raise

    async def _answer(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connected
        except TimeoutError:
            raise aiomqtt.MqttError(f"no answer to CONNECT within {ANSWER_S:g} s") from None

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the acknowledgement.

        Calls made one after the other leave in that order, without waiting for each other.
        Raises RefusedError where the broker refuses the message, else MqttError.
        """
        info = self._client.publish(topic, payload, 1, retain)
        self._check(info.rc)
        acknowledged: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._acknowledgements[info.mid] = acknowledged
        try:
            async with asyncio.timeout(ANSWER_S):
                reason = await acknowledged
        except TimeoutError:
            raise aiomqtt.MqttError(f"no acknowledgement within {ANSWER_S:g} s") from None
        finally:
            self._acknowledgements.pop(info.mid, None)
        if reason.is_failure:
            raise RefusedError(topic, reason)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0: sent, or lost. Raises MqttError."""
        self._check(self._client.publish(topic, payload, 0).rc)

    async def leave(self) -> None:
        """Say DISCONNECT, so that the broker does not send the Last Will; then close."""
        try:
            if self._client.disconnect() == MQTT_ERR_SUCCESS:
                await asyncio.wait((self._disconnected,), timeout=1.0)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the socket without a word: the broker sends the Last Will. May be repeated."""
        self._abandoned = True
        self._fail_acknowledgements("the connection was closed")
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all sockets with it
            # After what aiomqtt has put into the loop's queue: registering the socket there.
            self._loop.call_soon(self._detach)

    def _detach(self) -> None:
        if self._misc_task is not None:
            self._misc_task.cancel()
        self._drop(self._client.socket())

    def _drop(self, sock: Any) -> None:
        if sock is not None and (number := sock.fileno()) >= 0:
            self._loop.remove_reader(number)
            self._loop.remove_writer(number)
            sock.close()

    def _reason(self) -> str:
        return f" ({self._words.text})" if self._words.text else ""

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(code, "could not publish")

    def _fail_acknowledgements(self, why: str) -> None:
        waiting: list[asyncio.Future[Any]] = list(self._acknowledgements.values())
        waiting += self._pending_subscribes.values()
        for future in waiting:
            if not future.done():
                future.set_exception(aiomqtt.MqttError(why))
                _look_at(future)

    # paho's callbacks. The socket's run in the connecting thread; all are brought to the loop.

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        def attach() -> None:
            if self._abandoned:
                sock.close()
            else:
                super(Connection, self)._on_socket_open(client, userdata, sock)

        self._in_loop(attach)

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        def attach() -> None:
            if not self._abandoned and sock.fileno() >= 0:
                super(Connection, self)._on_socket_register_write(client, userdata, sock)

        self._in_loop(attach)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        # paho also asks this of a socket that is closed already, when it is taken apart.
        if sock.fileno() >= 0:
            super()._on_socket_unregister_write(client, userdata, sock)

    def _on_disconnect(self, *arguments: Any) -> None:
        def lost() -> None:
            self._fail_acknowledgements("the connection was lost")
            if not self._connected.done():
                self._connected.set_exception(
                    aiomqtt.MqttError(
                        f"the broker closed the connection without an answer{self._reason()}"
                    )
                )
            super(Connection, self)._on_disconnect(*arguments)

        self._in_loop(lost)

    def _on_publish(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        acknowledged = self._acknowledgements.get(mid)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    async def _misc_loop(self) -> None:
        # Pings and their time limit: were this to die unheard, so would the keep-alive.
        try:
            await super()._misc_loop()
        except Exception as error:  # noqa: BLE001 - handed to whoever listens
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _in_loop(self, work: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(work)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Let asyncio know that somebody saw the error: whoever needs it reads it elsewhere."""
    if not future.cancelled():
        future.exception()
