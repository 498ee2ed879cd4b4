"""What can be wrong with a URL that holds a login."""

from __future__ import annotations

import re
from typing import Final

_HOST_AND_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:@\[\]]*)(:\d{1,5})?")


def unencoded(url: str) -> str | None:
    """Return the character of a URL's login that must be percent-encoded, if there is one.

    A `/`, `?` or `#` ends the part of a URL that names user, password and host (RFC 3986,
    section 3.2); in a password it makes another host and another path of them. An `@` further
    on, behind what can be a host and a port, belongs to the path and is no fault.
    """
    login = url.partition("://")[2].rpartition("@")[0]
    head = re.split(r"[/?#]", login, maxsplit=1)[0]
    if head != login and _HOST_AND_PORT.fullmatch(head):
        return None
    return next((character for character in login if character in "/?#[]"), None)
