"""The one thing that aiomqtt's public interface does not give: the paho client inside it.

Through it, and paho's public interface, come the acknowledgements' reason codes, the
broker's limits in CONNACK, and the socket. aiomqtt is pinned to the versions that were
tried (`pyproject.toml`); a test fails where the attribute moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiomqtt
    from paho.mqtt.client import Client


def paho_client(client: aiomqtt.Client) -> Client:
    """Return the paho client that an aiomqtt client drives."""
    return client._client  # noqa: SLF001 - see above
