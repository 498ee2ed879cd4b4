"""The errors that langidd raises: few, and each says in one line what a person can do."""

from __future__ import annotations


class LangiddError(Exception):
    """The root of them all; its text is one line, names the thing and has no secrets."""


class ConfigError(LangiddError):
    """A setting that cannot stand: names the key, what was given, what is allowed."""


class SourceError(LangiddError):
    """A source that gives no sound now; `permanent` where trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class ModelError(LangiddError):
    """A checkpoint that cannot be used, or a model that failed."""


class BrokerError(LangiddError):
    """The MQTT broker refuses the connection or a message: password, certificate, rules."""


class ServiceError(LangiddError):
    """Something the service needs of the machine (a directory, a user) is not there."""
