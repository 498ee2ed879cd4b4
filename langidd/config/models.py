"""The models of the configuration: every key, its default, and what it may be."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from langidd.config.fields import (
    AnyPath,
    Device,
    Host,
    Language,
    Port,
    ReadableFile,
    Secret,
    Table,
    Text,
    Topic,
    Unit,
    read_secret,
)
from langidd.decision.presets import PRESETS, DeciderSettings, decider_settings
from langidd.errors import ConfigError
from langidd.naming import slug, slugs
from langidd.observability.redaction import redact_url, url_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable


def _fill_from_file(table: Table, key: str) -> None:
    """Set `key` to what the file `key_file` holds; both at once is a contradiction."""
    path = getattr(table, f"{key}_file")
    if path is None:
        return
    if getattr(table, key) is not None:
        raise ValueError(f"{key} and {key}_file are both given; one is allowed")
    # Frozen against everybody else; the model itself is still being made here.
    try:
        object.__setattr__(table, key, read_secret(path))
    except ValueError as error:
        raise ValueError(f"{key}_file: {error}") from None


class ModelSettings(Table):
    """Which checkpoint, on which device, in what batches."""

    path: Text = "uz-ru-en"
    """A shipped model's name, a directory, or a Hugging Face hub name."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    """`auto` takes CUDA where there is one."""
    cpu_fallback: bool = True
    """Go on with the CPU when the GPU is missing or lost."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of the model; 0 leaves it to torch."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    """Windows in a batch at most."""
    max_delay_ms: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """How long the oldest window waits for company; unset: 5 on CUDA, 20 on the CPU."""
    context: Literal["auto", "padded", "trimmed"] = "auto"
    """What the encoder sees: 30 s always, or the window alone; `auto` asks the checkpoint."""


class VadSettings(Table):
    """Who decides what is speech."""

    engine: Literal["webrtc", "silero", "both"] = "both"
    """`both`: WebRTC's cheap gate first, Silero's network behind it."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """WebRTC's: 0 lets most through, 3 least."""
    threshold: Unit = 0.5
    """Silero's: the probability from which a frame is speech."""
    min_silence_s: Annotated[float, Field(ge=0.03, le=10)] = 0.5
    """A pause this long ends a speech segment."""
    min_speech_s: Annotated[float, Field(ge=0, le=10)] = 0.25
    """Shorter bursts are no speech."""
    prefix_padding_s: Annotated[float, Field(ge=0, le=5)] = 0.2
    """Sound kept from before the onset."""


class WindowSettings(Table):
    """What the classifier hears at once."""

    hop_s: Annotated[float, Field(ge=0.1, le=30)] = 0.5
    """New speech from window to window."""
    length_s: Annotated[float, Field(ge=0.5, le=30)] = 2.0
    """The most that a window holds."""
    first_s: Annotated[float, Field(ge=0.1, le=30)] = 1.0
    """Speech before the first window of a segment."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in ("hop_s", "first_s"):
            if getattr(self, name) > self.length_s:
                raise ValueError(
                    f"{name} {getattr(self, name):g} is longer than length_s {self.length_s:g}; "
                    f"{name} must be at most length_s"
                )
        return self


class DecisionSettings(Table):
    """A preset, and numbers that replace the preset's (langidd.decision.presets)."""

    preset: Text = "balanced"
    """A set of all the numbers below."""
    dwell_s: float | None = None
    """Mean seconds of speech for which a language stays."""
    pause_switch: float | None = None
    """Chance that the language is another one after a pause."""
    memory_s: float | None = None
    """Time constant of silence with which the past is forgotten."""
    evidence: float | None = None
    """Factor on the weight of a window's scores."""
    doubt: float | None = None
    """Chance that a window says nothing, whatever its scores."""
    und_weight: float | None = None
    """Factor on what a window gives to languages that are none of the candidates."""
    und_prior: float | None = None
    """Chance, before anything is heard, of none of the languages."""
    enter: float | None = None
    """A language is named from this probability on."""
    first_enter: float | None = None
    """The same, where none is named so far."""
    leave: float | None = None
    """Below this a named language is given up for `und`."""
    confirm_s: float | None = None
    """Seconds above `enter` before another language takes a named one's place."""
    leave_s: float | None = None
    """Seconds below `leave` before a language is given up."""
    hold_s: float | None = None
    """Seconds of speech for which a named language stays at the least."""
    no_speech_after_s: float | None = None
    """Seconds of silence after which the answer is `zxx`."""
    confidence_slope: float | None = None
    """Scales the log-odds of the published confidence."""
    confidence_offset: float | None = None
    """Shifts them."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        try:
            self.decider()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def decider(self, preset: str | None = None) -> DeciderSettings:
        """Return the numbers, of another preset where a source names one."""
        numbers = self.model_dump(exclude={"preset"})
        return decider_settings(preset or self.preset, **numbers)


class TlsSettings(Table):
    """TLS to the broker."""

    enabled: bool = False
    """Off by default; a file below without it is refused."""
    ca_file: ReadableFile | None = None
    """Authorities to trust instead of the system's (PEM)."""
    cert_file: ReadableFile | None = None
    """The client's certificate (PEM)."""
    key_file: ReadableFile | None = None
    """The client certificate's key (PEM)."""
    key_password: Secret | None = None
    """The key's password; better in a file."""
    key_password_file: ReadableFile | None = None
    """A file that holds the key's password."""
    insecure: bool = False
    """Trust any certificate: for a try, never for a service."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.enabled and self.model_fields_set - {"enabled"}:
            given = min(self.model_fields_set - {"enabled"})
            raise ValueError(f"{given} is given but TLS is off; set enabled = true")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together; only one is given")
        _fill_from_file(self, "key_password")
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
    """The user's password; better in a file."""
    password_file: ReadableFile | None = None
    """A file that holds the password."""
    client_id: Text | None = None
    """Unset: made of the node's name."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT's version."""
    base: Topic = "langidd"
    """The first part of every topic."""
    qos: Literal[0, 1] = 1
    """0 for a broker without QoS 1; events on their way when the connection breaks are lost."""
    retain: bool = True
    """False for a broker without retained messages; new subscribers wait for the next change."""
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 30
    """The broker counts langidd as gone after one and a half of these."""
    tls: TlsSettings = TlsSettings()
    """TLS to the broker."""
    discovery: bool = True
    """Tell Home Assistant what there is."""
    discovery_prefix: Topic = "homeassistant"
    """Where Home Assistant listens."""
    windows: bool = False
    """Publish each window's probabilities too."""
    outbox_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    """Events kept while the broker is away."""
    outbox_bytes: Annotated[int, Field(ge=65_536, le=2**40)] = 64 * 2**20
    """Room for them on disk; the oldest go first."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _fill_from_file(self, "password")
        if self.password is not None and self.username is None and self.protocol == "3.1.1":
            raise ValueError("a password needs a username with MQTT 3.1.1")
        return self

    @property
    def port_number(self) -> int:
        """The port, given or the usual one."""
        return self.port or (8883 if self.tls.enabled else 1883)


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


class SourceSettings(Table):
    """One source: exactly one of `device`, `rtsp` and `file`."""

    name: Text
    """Shown everywhere, and made into a topic."""
    device: Device | None = None
    """A microphone's number or (part of) its name."""
    rtsp: Annotated[str, Field(max_length=2000)] | None = None
    """A camera's `rtsp://` or `rtsps://` URL; its user and password move to the keys below."""
    file: Literal["-"] | AnyPath | None = None
    """A recording, or `-`: raw 16-bit samples on standard input."""
    realtime: bool = False
    """Play a file at the pace of the clock."""
    loop: bool = False
    """Play a file over and over."""
    transport: Literal["tcp", "udp"] = "tcp"
    """RTSP's."""
    username: Text | None = None
    """The camera's user."""
    password: Secret | None = None
    """The user's password; better in a file."""
    password_file: ReadableFile | None = None
    """A file that holds the password."""
    candidates: Annotated[list[Language], Field(min_length=1, max_length=200)] | None = None
    """The languages spoken here; unset: all that the model knows."""
    priors: dict[Language, Annotated[float, Field(gt=0, le=1)]] | None = None
    """How likely each is before anything is heard."""
    preset: Text | None = None
    """Another preset than `decision.preset`."""
    stall_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """No sound for this long is a fault."""
    sample_rate: Annotated[int, Field(ge=4_000, le=768_000)] = 16_000
    """Of standard input."""
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    """Of standard input."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials(cls, data: Any) -> Any:
        """Move user and password out of the URL, so that it may be shown."""
        if not isinstance(data, dict) or not isinstance(data.get("rtsp"), str):
            return data
        try:
            parts = urlsplit(data["rtsp"])
            username, password, _ = parts.username, parts.password, parts.port
        except ValueError:
            raise ValueError("rtsp is no URL; it must be rtsp://host/path") from None
        if parts.scheme not in {"rtsp", "rtsps"} or not parts.hostname:
            raise ValueError("rtsp is no RTSP URL; it must be rtsp://host/path or rtsps://…")
        if not data["rtsp"].isprintable() or " " in data["rtsp"]:
            raise ValueError("rtsp holds a space or a control character; write %20 for a space")
        if "@" not in parts.netloc:
            return data
        if password and (data.get("password") or data.get("password_file")):
            raise ValueError("the password is given twice: in rtsp and beside it")
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        data = {**data, "rtsp": bare}
        if username:
            data.setdefault("username", unquote(username))
        if password:
            data["password"] = unquote(password)
        return data

    @field_validator("candidates")
    @classmethod
    def _each_once(cls, candidates: list[str] | None) -> list[str] | None:
        if candidates is not None and len(set(candidates)) < len(candidates):
            raise ValueError("must name each language once")
        return candidates

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [key for key in ("device", "rtsp", "file") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given) or 'no kind'} given; "
                "exactly one of device, rtsp and file is allowed"
            )
        if self.candidates is not None and self.priors is not None:
            strangers = sorted(set(self.priors) - set(self.candidates) - {"und"})
            if strangers:
                raise ValueError(f"priors names {strangers[0]}, which is not among candidates")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset is {self.preset!r}; it must be one of {', '.join(PRESETS)}")
        if self.file == "-" and self.loop:
            raise ValueError("loop is given; standard input cannot be played again")
        _fill_from_file(self, "password")
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the URL without a login that its path or query holds."""
        for key, value in super().__repr_args__():
            yield key, redact_url(value) if key == "rtsp" and value else value


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
        """Every text that may never be shown, as it was given and as URLs write it."""
        fields = [self.mqtt.password, self.mqtt.tls.key_password]
        fields += [source.password for source in self.sources]
        plain = {field.get_secret_value() for field in fields if field is not None}
        for source in self.sources:
            plain |= url_secrets(source.rtsp or "")
        return frozenset(plain | {quote(text, safe="") for text in plain})
