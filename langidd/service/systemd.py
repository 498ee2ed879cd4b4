"""Talking to systemd: the protocol of sd_notify(3), on the standard library alone."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Final

_LOG: Final = logging.getLogger(__name__)
_STATUS_CHARACTERS: Final = 200


class Notifier:
    """Tells systemd how the service is; does nothing where systemd does not listen."""

    def __init__(self) -> None:
        self._address = _address(os.environ.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # systemd's queue may be full; a lost STATUS is better than a stopped event loop.
            self._socket.setblocking(False)
        self._last_status = ""

    @property
    def listening(self) -> bool:
        """Whether anybody listens."""
        return self._socket is not None

    @property
    def watchdog_s(self) -> float | None:
        """Seconds within which systemd wants a sign of life from this process, if it does."""
        text = os.environ.get("WATCHDOG_USEC", "")
        process = os.environ.get("WATCHDOG_PID", "")
        if not text.isdigit() or int(text) == 0 or (process and process != str(os.getpid())):
            return None
        return int(text) / 1e6

    def ready(self, status: str) -> None:
        """Say that the service does its work; also after a reload."""
        self._send("READY=1", self._status(status))

    def status(self, text: str) -> None:
        """Say in one line how things are, where that changed."""
        if text != self._last_status:
            self._send(self._status(text))

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        # The clock's name is part of the protocol: CLOCK_MONOTONIC in microseconds.
        moment = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={moment}", self._status("reloading"))

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1", self._status("stopping"))

    def close(self) -> None:
        """Free the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _status(self, text: str) -> str:
        self._last_status = text
        # One line: what follows a newline would be another assignment.
        return "STATUS=" + " ".join(text.split())[:_STATUS_CHARACTERS]

    def _send(self, *assignments: str) -> None:
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            _LOG.warning("systemd cannot be told: %s", error.strerror)


def _address(text: str) -> str | None:
    """Return the socket's address: a path, or an abstract one, whose @ stands for a NUL."""
    if text.startswith("/"):
        return text
    if text.startswith("@") and len(text) > 1:
        return "\0" + text[1:]
    if text:
        _LOG.warning("NOTIFY_SOCKET is neither a path nor abstract; systemd is told nothing")
    return None
