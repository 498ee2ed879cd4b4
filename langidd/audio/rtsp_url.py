"""The URL of a camera: taken apart, its login by itself, without ever showing a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_SCHEME: Final = re.compile(r"(?i)(rtsps?)://(.*)", re.DOTALL)
_AUTHORITY_ENDS: Final = re.compile(r"[/?#]")
_PLACE: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>\d*))?")
_HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class RtspUrl:
    """A camera's address.

    Attributes:
        scheme: `rtsp` or `rtsps`.
        host: A name, an IPv4 address, or an IPv6 address without its brackets.
        place: `host[:port]` as URLs write it, an IPv6 address in brackets.
        path: What follows, from the first `/` or `?` on.
        username: The user of the URL, decoded; None if there is none.
        password: The same of the password.

    """

    scheme: str
    host: str
    place: str
    path: str
    username: str | None = None
    password: str | None = None

    @property
    def bare(self) -> str:
        """The URL without its login."""
        return f"{self.scheme}://{self.place}{self.path}"


def parse_rtsp_url(url: str) -> RtspUrl:
    """Take a camera's URL apart.

    The password may hold `@`, `:`, `[` and `]` as they are. It cannot hold `/`, `?` and
    `#`, which end the host in a URL; such a URL is recognised as far as it can be.

    Args:
        url: `rtsp://user:password@host:port/path`, user and password percent-encoded.

    Returns:
        Its parts.

    Raises:
        ValueError: it is no such URL; the text begins with a verb and shows none of it.

    """
    match = _SCHEME.fullmatch(url)
    if match is None:
        raise ValueError("is no RTSP URL; it must be rtsp://host/path or rtsps://host/path")
    if not url.isprintable() or " " in url:
        raise ValueError("holds a space or a control character; write %20 for a space")
    scheme, rest = match[1].lower(), match[2]
    end = _AUTHORITY_ENDS.search(rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    login, at, place = authority.rpartition("@")
    if end is not None and "@" in path and (end[0] == "#" or (not at and not _is_place(place))):
        raise ValueError(
            f"has a {end[0]} in its password; write %{ord(end[0]):02X} for it, "
            "or take the password out of the URL and give password_file"
        )
    if end is not None and end[0] == "#":
        raise ValueError("holds a #, which no RTSP URL has; write %23 for it")
    found = _PLACE.fullmatch(place)
    if found is None and place.count(":") > 1:
        raise ValueError("has an IPv6 address without brackets; write rtsp://[address]:port/path")
    if found is None or not found["host"].strip("[]"):
        raise ValueError("has no host that can be read; it must be rtsp://host:port/path")
    if found["port"] and not 0 < int(found["port"]) <= _HIGHEST_PORT:
        raise ValueError(f"has a port that does not exist; it must be 1 to {_HIGHEST_PORT}")
    user, colon, password = login.partition(":")
    return RtspUrl(
        scheme,
        found["host"].strip("[]"),
        place,
        path,
        unquote(user) if user else None,
        unquote(password) if colon and password else None,
    )


def _is_place(place: str) -> bool:
    return bool(_PLACE.fullmatch(place))
