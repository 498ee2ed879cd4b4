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
    """Unset: HTTP is off."""
    host: Host = "127.0.0.1"
    """The address to listen on."""


class LogSettings(Table):
    """What is logged, and in what form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    format: Literal["auto", "human", "json", "journald"] = "auto"
    """`auto`: journald under systemd, otherwise human."""


class Settings(Table):
    """All settings."""

    node: Text = Field(default_factory=lambda: socket.gethostname().partition(".")[0] or "langidd")
    """The name of this machine in topics."""
    state_directory: AnyPath | None = None
    """The directory of the outbox; unset: systemd's `$STATE_DIRECTORY`, else only memory."""
    model: ModelSettings = ModelSettings()
    """The model."""
    vad: VadSettings = VadSettings()
    """Voice activity detection."""
    windows: WindowSettings = WindowSettings()
    """Windows."""
    decision: DecisionSettings = DecisionSettings()
    """Decisions."""
    mqtt: MqttSettings = MqttSettings()
    """The broker."""
    http: HttpSettings = HttpSettings()
    """Metrics and health."""
    log: LogSettings = LogSettings()
    """Logs."""
    sources: Annotated[list[SourceSettings], Field(max_length=1000, default_factory=list)]
    """The sources."""

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
