"""What a failed connection means, and whether only a person can change it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiomqtt.exceptions import MqttCodeError, MqttConnectError

from langidd.errors import BrokerError
from langidd.naming import host_and_port

if TYPE_CHECKING:
    from langidd.config import MqttSettings

# DISCONNECT's; paho has "unspecified" where the socket was closed without one.
_TAKEN_OVER: Final = 142
_UNSPECIFIED: Final = 128
# CONNACK's of MQTT 5; paho turns those of 3.1.1 into the same.
_ADVICE: Final = {
    132: "set mqtt.protocol to the version that the broker speaks",
    133: "set another mqtt.client_id",
    134: "check mqtt.username and mqtt.password",
    135: "check mqtt.username, mqtt.password and the broker's access rules",
    138: "the broker has banned this client",
    140: "the broker asks for an authentication that is not supported",
    154: "it keeps no retained messages; set mqtt.retain = false",
    155: "it takes QoS 0 only; set mqtt.qos = 0",
}
_TLS_ADVICE: Final = {
    "CERTIFICATE_VERIFY_FAILED": "check mqtt.tls.ca_file and the name in mqtt.host",
    "WRONG_VERSION_NUMBER": "the broker does not speak TLS on this port",
    "CERTIFICATE_REQUIRED": "the broker asks for mqtt.tls.cert_file and key_file",
    "UNKNOWN_CA": "the broker does not trust mqtt.tls.cert_file",
    "BAD_CERTIFICATE": "the broker does not accept mqtt.tls.cert_file",
    "CERTIFICATE_EXPIRED": "a certificate has expired",
    "HANDSHAKE_FAILURE": "no TLS version and cipher in common with the broker",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection; `refused` where only a person can change it."""

    text: str
    refused: bool


def failure(error: BaseException, settings: MqttSettings) -> Failure:
    """Return what an error of connecting means: one line, without secrets."""
    place = host_and_port(settings.host or "", settings.port_number)
    if isinstance(error, BrokerError):
        return Failure(f"broker {place}: {error}", refused=True)
    if isinstance(error, MqttConnectError):
        code = getattr(error.rc, "value", error.rc)
        reason = str(error.rc).lower()
        advice = _ADVICE.get(code if isinstance(code, int) else 0)
        tail = f"; {advice}" if advice else ""
        return Failure(
            f"broker {place} refuses the connection: {reason}{tail}", refused=advice is not None
        )
    text = _one_line(error)
    key = text.upper().replace(" ", "_")
    for mark, advice in _TLS_ADVICE.items():
        if mark in key:
            return Failure(
                f"broker {place}: TLS fails: {_plain(error, text)}; {advice}", refused=True
            )
    if settings.tls.enabled and isinstance(error, (ConnectionResetError, TimeoutError)):
        text += "; does the broker speak TLS on this port?"
    if "WITHOUT_AN_ANSWER" in key:
        # MQTT 3.1.1 has no way to say what a broker lacks.
        asks = [] if settings.tls.enabled else ["expect TLS there (mqtt.tls.enabled)"]
        asks.append("speak another mqtt.protocol")
        if settings.protocol == "3.1.1" and (settings.retain or settings.qos):
            asks.append("lack retained messages (mqtt.retain) or QoS 1 (mqtt.qos)")
        text += f"; does it {', or '.join(asks)}?"
    return Failure(f"broker {place}: {text}", refused=False)


def losses(settings: MqttSettings) -> list[str]:
    """Return what is lost with the settings for brokers of less ability, a line each."""
    lost = []
    if not settings.retain:
        lost.append(
            "mqtt.retain is off: whoever subscribes later learns a source's language only at its "
            "next change, and that the service is gone not at all"
        )
    if not settings.qos:
        lost.append(
            "mqtt.qos is 0: events that are on their way when the connection breaks are lost"
        )
    return lost


def _one_line(error: BaseException) -> str:
    """Return the cause; aiomqtt wraps it in the fact that the connection ended."""
    cause = error.__cause__ or error
    if isinstance(cause, MqttCodeError):
        code = getattr(cause.rc, "value", cause.rc)
        if code == _TAKEN_OVER:
            return (
                "another client connected with the same id; each needs its own node or "
                "mqtt.client_id"
            )
        if code == _UNSPECIFIED:
            return "the connection was lost"
        return f"the connection ended: {cause.rc}"
    return " ".join((str(cause) or type(cause).__name__).split())


def _plain(error: BaseException, text: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return text
