"""Settings of the broker: the connection, TLS, and what is published."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from langidd.config.fields import (
    Host,
    Port,
    ReadableFile,
    Secret,
    Table,
    Text,
    Topic,
    fill_from_file,
)


class TlsSettings(Table):
    """TLS to the broker."""

    enabled: bool = False
    """Must be true if any other key is given."""
    ca_file: ReadableFile | None = None
    """Authorities to trust instead of those of the system (PEM)."""
    cert_file: ReadableFile | None = None
    """The client's certificate (PEM)."""
    key_file: ReadableFile | None = None
    """The client certificate's key (PEM)."""
    key_password: Secret | None = None
    """The key's password; a file is better."""
    key_password_file: ReadableFile | None = None
    """A file that holds the key's password."""
    insecure: bool = False
    """Trust any certificate: for tests only."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.enabled and self.model_fields_set - {"enabled"}:
            given = min(self.model_fields_set - {"enabled"})
            raise ValueError(f"{given} is given but TLS is off; set enabled = true")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together; only one is given")
        fill_from_file(self, "key_password")
        return self


class MqttSettings(Table):
    """The broker, and what is published."""

    host: Host | None = None
    """The broker; unset: langidd runs its own on the loopback address."""
    port: Port | None = None
    """Unset: 1883, or 8883 with TLS."""
    username: Text | None = None
    """The broker's user."""
    password: Secret | None = None
    """The user's password; a file is better."""
    password_file: ReadableFile | None = None
    """A file that holds the password."""
    client_id: Text | None = None
    """Unset: made from the node's name."""
    protocol: Literal["5", "3.1.1"] = "5"
    """The version of MQTT."""
    base: Topic = "langidd"
    """The first part of every topic."""
    qos: Literal[0, 1] = 1
    """0 for a broker without QoS 1: events in flight are lost when the connection breaks."""
    retain: bool = True
    """False for a broker without retained messages: a new subscriber waits for the next change."""
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 30
    """The broker publishes the Last Will after one and a half of these without a message."""
    tls: TlsSettings = TlsSettings()
    """TLS to the broker."""
    discovery: bool = True
    """Announce the sources to Home Assistant."""
    discovery_prefix: Topic = "homeassistant"
    """The prefix that Home Assistant listens on."""
    windows: bool = False
    """Publish the probabilities of each window as well."""
    outbox_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    """The most events that wait while the broker is away."""
    outbox_bytes: Annotated[int, Field(ge=65_536, le=2**40)] = 64 * 2**20
    """The most bytes of them on disk; the oldest events are dropped first."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        fill_from_file(self, "password")
        if self.password is not None and self.username is None and self.protocol == "3.1.1":
            raise ValueError("a password needs a username with MQTT 3.1.1")
        return self

    @property
    def port_number(self) -> int:
        """The port, given or the default."""
        return self.port or (8883 if self.tls.enabled else 1883)
