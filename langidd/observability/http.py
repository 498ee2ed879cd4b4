"""Metrics and health over HTTP: `/metrics` for Prometheus, `/healthz` for a probe.

Served from a thread of its own, so that a slow reader never holds up the daemon.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from langidd.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 10.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = READ_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing of the requests that come every few seconds."""
        log.debug(format, *args)


class Endpoint:
    """Serves until `close`.

    health gives `(healthy, what to say)`; it is called from the server's threads.
    Raises `ServiceError` where the address cannot be had.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        health: Callable[[], tuple[bool, Mapping[str, Any]]],
    ) -> None:
        metrics = make_wsgi_app(registry)

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "/")
            if path == "/metrics":
                page: Iterable[bytes] = metrics(environ, start)
                return page
            if path == "/healthz":
                healthy, report = health()
                status = "200 OK" if healthy else "503 Service Unavailable"
                start(status, [("Content-Type", "application/json")])
                return [json.dumps(report, ensure_ascii=False).encode()]
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"there are /metrics and /healthz\n"]

        server, shown = (_Ipv6Server, f"[{host}]") if ":" in host else (_Server, host)
        try:
            self._server = make_server(host, port, answer, server, _Handler)
        except OSError as error:
            raise ServiceError(
                f"http.port: cannot listen on {shown}:{port} ({error.strerror or error}); "
                "choose another"
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()
        log.info("metrics and health on http://%s:%d", shown, self.port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
