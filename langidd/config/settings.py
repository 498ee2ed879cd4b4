"""All settings: the tables of the configuration, and what must hold between them."""

from __future__ import annotations

import socket
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from langidd.config.broker import MqttSettings
from langidd.config.fields import AnyPath, Host, Port, Table, Text
from langidd.config.pipeline import DecisionSettings, ModelSettings, VadSettings, WindowSettings
from langidd.config.source import SourceSettings  # noqa: TC001 - pydantic reads it
from langidd.errors import ConfigError
from langidd.naming import slug, slugs
from langidd.redaction import spellings, url_secrets


class HttpSettings(Table):
    """Metrics and health over HTTP."""

    port: Port | None = None
    """Unset: no HTTP."""
    host: Host = "127.0.0.1"
    """The address to listen on."""


class LogSettings(Table):
    """What is logged, and in what form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is shown."""
    format: Literal["auto", "human", "json", "journald"] = "auto"
    """`auto`: journald under systemd, else human."""


class Settings(Table):
    """All of it."""

    node: Text = Field(default_factory=lambda: socket.gethostname().partition(".")[0] or "langidd")
    """This machine's name in topics."""
    state_directory: AnyPath | None = None
    """Where the outbox lies; unset: systemd's `$STATE_DIRECTORY`, else nothing is kept."""
    model: ModelSettings = ModelSettings()
    """The checkpoint."""
    vad: VadSettings = VadSettings()
    """Speech and silence."""
    windows: WindowSettings = WindowSettings()
    """What the classifier hears at once."""
    decision: DecisionSettings = DecisionSettings()
    """How sure is sure."""
    mqtt: MqttSettings = MqttSettings()
    """The broker."""
    http: HttpSettings = HttpSettings()
    """Metrics and health."""
    log: LogSettings = LogSettings()
    """Logs."""
    sources: Annotated[list[SourceSettings], Field(max_length=1000, default_factory=list)]
    """What is listened to."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        try:
            slug(self.node)
        except ConfigError as error:
            raise ValueError(f"node: {error}") from None
        try:
            slugs(source.name for source in self.sources)
        except ConfigError as error:
            raise ValueError(f"sources: {error}") from None
        if sum(source.file == "-" for source in self.sources) > 1:
            raise ValueError("two sources read standard input; only one can")
        return self

    def secrets(self) -> frozenset[str]:
        """Return every text that must never be shown, in each form that it may come up in."""
        logins = [(self.mqtt.username, self.mqtt.password), (None, self.mqtt.tls.key_password)]
        logins += [(source.username, source.password) for source in self.sources]
        secrets = {
            (password.get_secret_value(), username or "")
            for username, password in logins
            if password is not None
        }
        secrets |= {
            (text, "") for source in self.sources for text in url_secrets(source.rtsp or "")
        }
        return frozenset().union(*(spellings(*secret) for secret in secrets))
