"""The errors that langidd raises: few, and each says in one line what a person can do."""

from __future__ import annotations


class LangiddError(Exception):
    """The base of all of them; the text is one line, names the thing and holds no secret."""


class ConfigError(LangiddError):
    """A setting is not valid; the text names the key, what was given and what is allowed."""


class SourceError(LangiddError):
    """A source gives no audio.

    Args:
        message: What is wrong.
        permanent: Whether trying again cannot help.

    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class EndsEarlyError(SourceError):
    """A recording whose end cannot be read; all sound before it was given."""


class ModelError(LangiddError):
    """A checkpoint cannot be used, or a model failed."""


class BrokerError(LangiddError):
    """The MQTT broker refuses the connection or a message: password, certificate, rules."""


class ServiceError(LangiddError):
    """Something that the service needs of the machine is missing: a directory, a user, a port."""


def printable(text: str) -> str:
    r"""Return somebody else's text (a path, a driver's message) as it may stand in an error.

    It is one line, with an escape for each character that is not printable.

    A newline becomes `\n`, a terminal's escape character `\x1b`, and a byte of a file name that
    is not UTF-8 (which Python keeps as a surrogate, PEP 383) `\xff`.
    """
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode("ascii")
