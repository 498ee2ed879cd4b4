"""Starts the RTSP server of the tests, and things that only pretend to be one."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = Path(__file__).parent / "rtsp_server.py"


class RtspServer:
    """A running server: its process and its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def url(self, mount: str, login: str = "") -> str:
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}/{mount}"


@contextmanager
def rtsp_server(streams: dict[str, str], *arguments: str, port: int = 0) -> Iterator[RtspServer]:
    """Serve `{mount: "FILE:CODECS"}`; further arguments as `rtsp_server.py --help` has them."""
    require("gst-rtsp-server")
    command = ["/usr/bin/python3", str(SERVER), "--port", str(port), *arguments]
    for mount, what in streams.items():
        command += ["--stream", f"/{mount}={what}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        word, _, number = process.stdout.readline().partition(" ")
        assert word == "ready", "the RTSP server did not start"
        yield RtspServer(process, int(number))
    finally:
        process.kill()  # also where a test has stopped it
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def pretender(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that treats every connection as the test says; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections: list[socket.socket] = []

        def one(connection: socket.socket) -> None:
            try:
                answer(connection)
            except OSError:
                return  # the client has left, as it should
            finally:
                connection.close()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connections.append(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        try:
            yield listening.getsockname()[1]
        finally:
            # A blocked accept() does not notice that its socket is closed.
            listening.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                connection.close()


class Proxy:
    """A TCP proxy before the server: lets through, swallows, or cuts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.flows = threading.Event()
        self.flows.set()
        self._connections: list[socket.socket] = []

    def answer(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            self._connections += [client, server]
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    def cut(self) -> None:
        """Close every connection there is."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already
        self._connections.clear()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                if self.flows.is_set():
                    target.sendall(data)
        except OSError:
            return
