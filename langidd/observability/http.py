"""Metrics and health over HTTP, for Prometheus and for whoever restarts or watches langidd.

Served from a thread of its own, so that a slow reader never holds up the daemon.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from langidd.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    Answer = Callable[[], tuple[bool, Mapping[str, Any]]]

log = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 10.0

ALIASES: Final = {"/healthz": "/readyz"}
"""Older addresses that are still answered."""


def address_family(host: str, port: int) -> socket.AddressFamily:
    """Return whether the host is an IPv4 or an IPv6 address; raises OSError where it is none."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = address_family(host, port)
        super().__init__((host, port), _Handler)


class _Handler(WSGIRequestHandler):
    timeout = READ_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Log requests, which come every few seconds, for debugging only."""
        log.debug(format, *args)


class Endpoint:
    """Serves until `close`.

    Args:
        host: the address to listen on: a name, IPv4 or IPv6 (`::1`).
        port: 0 takes a free one; `self.port` says which.
        registry: what `/metrics` shows.
        answers: for each further path, what gives `(well, what to say as JSON)`: 200 where
            all is well, else 503. Called from the server's threads.

    Raises:
        ServiceError: the address cannot be listened on.

    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, answers: Mapping[str, Answer]
    ) -> None:
        shown = f"[{host}]" if ":" in host else host
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise ServiceError(
                f"http: cannot listen on {shown}:{port} ({error.strerror or error}); "
                "choose another http.port or http.host"
            ) from error
        self._server.set_app(_application(registry, answers))
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()
        log.info("metrics and health on http://%s:%d", shown, self.port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _application(
    registry: CollectorRegistry, answers: Mapping[str, Answer]
) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)
    paths = ", ".join(["/metrics", *answers])

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "/"))
        if path == "/metrics":
            page: Iterable[bytes] = metrics(environ, start)
            return page
        answer = answers.get(ALIASES.get(path, path))
        if answer is None:
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"no such page; there are {paths}\n".encode()]
        well, report = answer()
        status = "200 OK" if well else "503 Service Unavailable"
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(report, ensure_ascii=False).encode()]

    return application
