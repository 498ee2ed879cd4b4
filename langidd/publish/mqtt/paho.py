"""What aiomqtt's public interface does not give: the paho client inside it.

Through it, and paho's public interface, come the acknowledgements' reason codes, the
broker's limits in CONNACK, and the socket. aiomqtt is pinned to the versions that were
tried (`pyproject.toml`); a test fails where the attribute moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiomqtt
    from paho.mqtt.client import Client


def paho_client(client: aiomqtt.Client) -> Client:
    """Return the paho client that an aiomqtt client drives."""
    return client._client  # noqa: SLF001 - see above


def guard_socket(
    paho: Client, in_loop: Callable[[Callable[[], None]], None], abandoned: Callable[[], bool]
) -> None:
    """Keep aiomqtt's socket callbacks from touching a socket that nobody wants any more.

    They run in the connecting thread, where an attempt that was given up may still succeed.

    Args:
        paho: The client.
        in_loop: Runs something in the event loop.
        abandoned: Whether the connection was given up; called in the event loop.

    """
    opened, register, unregister = (
        paho.on_socket_open,
        paho.on_socket_register_write,
        paho.on_socket_unregister_write,
    )
    assert opened is not None  # noqa: S101 - aiomqtt drives the socket through these
    assert register is not None  # noqa: S101
    assert unregister is not None  # noqa: S101

    def on_open(client: Client, data: Any, sock: Any) -> None:
        in_loop(lambda: sock.close() if abandoned() else opened(client, data, sock))

    def on_register(client: Client, data: Any, sock: Any) -> None:
        def attach() -> None:
            if not abandoned() and sock.fileno() >= 0:
                register(client, data, sock)

        in_loop(attach)

    def on_unregister(client: Client, data: Any, sock: Any) -> None:
        # paho also asks this of a socket that is closed already.
        if sock.fileno() >= 0:
            unregister(client, data, sock)

    paho.on_socket_open = on_open
    paho.on_socket_register_write = on_register
    paho.on_socket_unregister_write = on_unregister


def close_socket(paho: Client) -> None:
    """Close the socket without DISCONNECT, and have aiomqtt forget it."""
    sock = paho.socket()
    if sock is None or sock.fileno() < 0:
        return
    for forget in (paho.on_socket_unregister_write, paho.on_socket_close):
        if forget is not None:
            forget(paho, None, sock)
    sock.close()
