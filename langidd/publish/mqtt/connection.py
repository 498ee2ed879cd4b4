"""One connection to the broker: aiomqtt's client, and no way to hang in it.

What aiomqtt 2.5 leaves to its users, and is solved here:

- connecting runs in a thread that cancelling leaves behind, socket and all; an attempt
  that timed out can still succeed later and take over the session of the next one;
- a broker that closes the connection instead of answering CONNECT costs the whole
  timeout, and the reason (a TLS alert) is only logged;
- `publish` neither ends when the connection is lost nor looks at the acknowledgement's
  reason code, with which a broker of MQTT 5 refuses a message;
- the broker's limits (Receive Maximum, Maximum QoS, …) are not looked at;
- an error while reading ends the connection without closing its socket;
- leaving the context always sends DISCONNECT, which keeps the Last Will from being sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from langidd.errors import BrokerError
from langidd.publish.mqtt.paho import close_socket, guard_socket, paho_client
from langidd.publish.mqtt.tls import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from langidd.config import MqttSettings

    OnMessage = Callable[[aiomqtt.Message], None]

CONNECT_S: Final = 5.0
"""For the TCP connection, for each address of the host; then for TLS."""
ANSWER_S: Final = 10.0
"""For the answer to CONNECT, and for each acknowledgement after it."""
LEAVE_S: Final = 0.5
"""For acknowledgements still underway when the connection is left, and for DISCONNECT."""
IN_FLIGHT: Final = 20
"""Messages without an acknowledgement at a time; fewer where the broker says so."""
LARGEST_INBOUND: Final = 64 * 1024
"""Bytes of a message that a broker may send us (MQTT 5 only: 3.1.1 has no such limit)."""
QUEUED_INBOUND: Final = 100
_PACKET_OVERHEAD: Final = 16
"""Bytes of a PUBLISH packet beside topic and payload, at most."""
_TOO_LARGE: Final = 149
_SUBSCRIPTION_FAILED: Final = 0x80


class RefusedError(aiomqtt.MqttError):
    """The broker refused a message.

    Attributes:
        topic: The message's.
        code: The reason code of MQTT 5.

    """

    def __init__(self, topic: str, code: int, reason: str) -> None:
        super().__init__(f"the broker refuses messages to {topic}: {reason}")
        self.topic = topic
        self.code = code


class ClosedError(aiomqtt.MqttError):
    """The broker closed the connection instead of answering CONNECT."""


class _LastMessage(logging.Handler):
    """Keeps paho's last warning: the only place where it says why a socket failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class Connection:
    """One connection: `open` it, deliver, then `leave` or `abandon` it.

    Every call ends: with what was asked, or with aiomqtt.MqttError.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        will: aiomqtt.Will,
        on_message: OnMessage,
        context: ssl.SSLContext | None,
    ) -> None:
        assert settings.host is not None  # noqa: S101 - without one, langidd's own is started
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._warning = _LastMessage()
        # A logger of its own, outside the tree: one line a fault, and that is ours.
        logger = logging.Logger("paho", logging.WARNING)  # noqa: LOG001 - kept out of the tree
        logger.addHandler(self._warning)
        five = settings.protocol == "5"
        self._client = aiomqtt.Client(
            settings.host,
            settings.port_number,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
            will=will,
            timeout=ANSWER_S,
            tls_context=context,
            logger=logger,
            max_inflight_messages=IN_FLIGHT,
            max_queued_incoming_messages=QUEUED_INBOUND,
        )
        self._on_message = on_message
        self._abandoned = False
        self._largest: int | None = None
        self._window = asyncio.Semaphore(IN_FLIGHT)
        self._acknowledgements: dict[int, asyncio.Future[ReasonCode]] = {}
        self._answer: asyncio.Future[Properties | None] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        for future in (self._answer, self._lost):
            future.add_done_callback(_retrieve)
        self._paho = paho_client(self._client)
        self._paho.connect_timeout = CONNECT_S
        guard_socket(self._paho, self._in_loop, lambda: self._abandoned)
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_publish = self._on_publish
        self._tasks = [self._loop.create_task(each) for each in (self._receive(), self._ping())]

    @classmethod
    async def open(
        cls,
        settings: MqttSettings,
        *,
        client_id: str,
        will: aiomqtt.Will,
        on_message: OnMessage,
    ) -> Connection:
        """Connect, and return when the broker has accepted the connection.

        Nothing of a failed or cancelled attempt stays behind.

        Raises:
            BrokerError: TLS files cannot be used, or the broker lacks what the settings ask.
            aiomqtt.MqttConnectError: The broker refuses the connection.
            aiomqtt.MqttError, OSError, ValueError: Anything else.

        """
        tls = settings.tls
        context = await asyncio.to_thread(tls_context, tls) if tls.enabled else None
        connection = cls(
            settings, client_id=client_id, will=will, on_message=on_message, context=context
        )
        try:
            await connection._connect()
            async with asyncio.timeout(ANSWER_S):
                connection._respect(await connection._answer)
        except TimeoutError:
            connection.abandon()
            raise aiomqtt.MqttError(f"no answer to CONNECT within {ANSWER_S:g} s") from None
        except BaseException:
            connection.abandon()
            raise
        return connection

    async def _connect(self) -> None:
        settings = self._settings
        properties = None
        if settings.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST_INBOUND
        finished: Future[object] = Future()
        finished.set_running_or_notify_cancel()

        def connect() -> None:
            try:
                host, port = settings.host or "", settings.port_number
                finished.set_result(
                    self._paho.connect(host, port, settings.keepalive_s, properties=properties)
                )
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                finished.set_exception(error)

        # A daemon: a name server that does not answer must not keep the process from ending.
        threading.Thread(target=connect, name="mqtt-connect", daemon=True).start()
        await asyncio.wrap_future(finished)

    def _respect(self, limits: Properties | None) -> None:
        """Take the broker's limits from CONNACK."""
        most = getattr(limits, "ReceiveMaximum", IN_FLIGHT)
        self._window = asyncio.Semaphore(min(IN_FLIGHT, most))
        self._largest = getattr(limits, "MaximumPacketSize", None)
        if self._settings.retain and not getattr(limits, "RetainAvailable", True):
            raise BrokerError("the broker keeps no retained messages; set mqtt.retain = false")
        if self._settings.qos and not getattr(limits, "MaximumQoS", 1):
            raise BrokerError("the broker takes QoS 0 only; set mqtt.qos = 0")

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait for the acknowledgement; with QoS 0 until the message was sent.

        Calls made one after the other leave in that order, without waiting for each other
        except as far as the broker's Receive Maximum asks.

        Raises:
            RefusedError: The broker refuses the message.
            aiomqtt.MqttError: The connection is lost, or there is no acknowledgement.

        """
        if self._largest is not None:
            size = len(topic.encode()) + len(payload) + _PACKET_OVERHEAD
            if size > self._largest:
                raise RefusedError(topic, _TOO_LARGE, f"over {self._largest} bytes")
        async with self._window:
            mid = self._publish(topic, payload, self._settings.qos, retain=retain)
            acknowledged: asyncio.Future[ReasonCode] = self._loop.create_future()
            self._acknowledgements[mid] = acknowledged
            try:
                async with asyncio.timeout(ANSWER_S):
                    # Whoever waits may be cancelled; `leave` still waits for the broker.
                    reason = await asyncio.shield(acknowledged)
            except TimeoutError:
                raise aiomqtt.MqttError(f"no acknowledgement within {ANSWER_S:g} s") from None
        if reason.is_failure:
            raise RefusedError(topic, int(reason.value), str(reason))

    def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0 and do not wait. Raises aiomqtt.MqttError."""
        self._publish(topic, payload, 0, retain=False)

    def _publish(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> int:
        if self._lost.done():
            raise aiomqtt.MqttError("the connection is lost") from self._lost.exception()
        info = self._paho.publish(topic, payload, qos, retain)
        if info.rc != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "could not publish")
        return info.mid

    async def subscribe(self, topic: str) -> bool:
        """Subscribe with QoS 0; return whether the broker grants it. Raises aiomqtt.MqttError."""
        granted = await self._client.subscribe(topic, qos=0)
        return all(getattr(code, "value", code) < _SUBSCRIPTION_FAILED for code in granted)

    async def until_lost(self) -> None:
        """Wait until the connection is lost, and raise why."""
        await asyncio.shield(self._lost)

    async def leave(self) -> None:
        """Send DISCONNECT, so that the broker does not send the Last Will; then close.

        mosquitto counts a client as lost whose socket is closed while it acknowledges a
        message, DISCONNECT or not; so acknowledgements come first.
        """
        try:
            if self._acknowledgements:
                await asyncio.wait(self._acknowledgements.values(), timeout=LEAVE_S)
            if self._paho.disconnect() == MQTT_ERR_SUCCESS:
                await asyncio.wait((self._lost,), timeout=LEAVE_S)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the socket without DISCONNECT: the broker sends the Last Will."""
        self._abandoned = True
        self._lose(aiomqtt.MqttError("the connection was closed"))
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all sockets with it
            # After what is in the loop's queue already: registering the socket there.
            self._loop.call_soon(close_socket, self._paho)

    def _lose(self, error: Exception) -> None:
        waiting: list[asyncio.Future[Any]] = [self._lost, self._answer]
        for future in (*waiting, *self._acknowledgements.values()):
            if not future.done():
                future.set_exception(error)
                _retrieve(future)

    async def _receive(self) -> None:
        try:
            async for message in self._client.messages:
                self._on_message(message)
        except Exception as error:  # noqa: BLE001 - handed to whoever uses the connection
            self._lose(error)

    async def _ping(self) -> None:
        # aiomqtt does this too, but says nothing where it fails.
        try:
            await self._answer
            while self._paho.loop_misc() == MQTT_ERR_SUCCESS:  # noqa: ASYNC110 - a timer
                await asyncio.sleep(1)
        except Exception as error:  # noqa: BLE001 - handed to whoever uses the connection
            self._lose(error)

    # paho's callbacks.

    def _on_connect(self, *arguments: Any) -> None:
        reason, limits = arguments[3:5]
        if self._answer.done():
            return
        if reason.is_failure:
            self._answer.set_exception(MqttConnectError(reason))
        else:
            self._answer.set_result(limits)

    def _on_disconnect(self, *arguments: Any) -> None:
        def lose() -> None:
            if not self._answer.done():
                why = f" ({self._warning.text})" if self._warning.text else ""
                self._lose(ClosedError(f"the broker closed the connection without an answer{why}"))
            self._lose(aiomqtt.MqttCodeError(arguments[3], "the connection ended"))

        self._in_loop(lose)

    def _on_publish(self, *arguments: Any) -> None:
        mid, reason = arguments[2:4]
        acknowledged = self._acknowledgements.pop(mid, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(reason)

    def _in_loop(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(work)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark the error as seen for asyncio: whoever needs it reads it elsewhere."""
    if not future.cancelled():
        future.exception()
