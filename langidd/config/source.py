"""Settings of one source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from langidd.audio.rtsp_url import parse_rtsp_url
from langidd.config.fields import (
    AnyPath,
    Device,
    Language,
    ReadableFile,
    Secret,
    Table,
    Text,
    Track,
    fill_from_file,
)
from langidd.decision.presets import PRESETS
from langidd.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable


class SourceSettings(Table):
    """One source: exactly one of `device`, `rtsp` and `file`."""

    name: Text
    """The name in logs and, reduced to `[a-z0-9_-]`, in topics."""
    device: Device | None = None
    """A microphone's number, or part of its name."""
    rtsp: Annotated[str, Field(max_length=2000)] | None = None
    """A camera's `rtsp://` or `rtsps://` URL; its user and password move to the keys below."""
    file: Literal["-"] | AnyPath | None = None
    """A recording, or `-`: raw 16-bit samples from standard input."""
    realtime: bool = False
    """Play a file in real time."""
    loop: bool = False
    """Repeat a file."""
    track: Track | None = None
    """The audio track of a file or camera: its number from 0, or its language."""
    transport: Literal["tcp", "udp"] = "tcp"
    """The transport of RTSP."""
    username: Text | None = None
    """The camera's user."""
    password: Secret | None = None
    """The user's password; a file is better."""
    password_file: ReadableFile | None = None
    """A file that holds the password."""
    candidates: Annotated[list[Language], Field(min_length=1, max_length=200)] | None = None
    """The languages spoken here; unset: all languages of the model."""
    priors: dict[Language, Annotated[float, Field(gt=0, le=1)]] | None = None
    """The prior probability of each."""
    preset: Text | None = None
    """Another preset than `decision.preset`."""
    stall_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """The source has stalled after this long without audio."""
    sample_rate: Annotated[int, Field(ge=4_000, le=768_000)] = 16_000
    """For standard input."""
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    """For standard input."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials(cls, data: Any) -> Any:
        """Move user and password out of the URL, so that it may be shown."""
        if not isinstance(data, dict) or not isinstance(data.get("rtsp"), str):
            return data
        try:
            address = parse_rtsp_url(data["rtsp"])
        except ValueError as error:
            raise ValueError(f"rtsp {error}") from None
        if address.password and (data.get("password") or data.get("password_file")):
            raise ValueError("the password is given twice: in rtsp and beside it")
        data = {**data, "rtsp": address.bare}
        if address.username:
            data.setdefault("username", address.username)
        if address.password:
            data["password"] = address.password
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
        if self.track is not None and (self.device is not None or self.file == "-"):
            raise ValueError("track is given; only recordings and cameras have audio tracks")
        if self.file == "-" and self.loop:
            raise ValueError("loop is given; standard input cannot be played again")
        fill_from_file(self, "password")
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the URL without a login that its path or query holds."""
        for key, value in super().__repr_args__():
            yield key, redact_url(value) if key == "rtsp" and value else value
