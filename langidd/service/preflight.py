"""Tries each thing that the service needs, before it needs it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import socket
import stat
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.audio import check_source
from langidd.errors import ConfigError, LangiddError, ServiceError, SourceError
from langidd.naming import host_and_port
from langidd.observability.http import address_family
from langidd.publish.outbox import FILE_NAME
from langidd.redaction import redact
from langidd.service.model import open_model
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from langidd.config import HttpSettings, Settings, SourceSettings

    Tell = Callable[[str, str | None, str], None]

log = logging.getLogger(__name__)

OUTBOX_ROOM_BYTES: Final = 64 * 1024
"""What SQLite writes before the first event is kept."""
TRIED_S: Final = 1.0
"""Seconds of audio that show that a source gives any."""
MODEL_TIMEOUTS: Final = 3.0
"""How many times as long as anything else the model may take."""


async def check_sources(sources: Sequence[SourceSettings], *, needs_all: bool) -> None:
    """Look for files and microphones, so that what is missing is known before a model is loaded.

    Args:
        sources: all of them.
        needs_all: any source that is missing is an error. Else it is logged, and an error
            only where there is nothing else: no source that is there or that may come back.

    Raises:
        SourceError: names what is missing.

    """
    missing: list[tuple[SourceSettings, SourceError]] = []
    for source in sources:
        try:
            await asyncio.to_thread(check_source, source)
        except SourceError as error:
            if needs_all:
                raise
            missing.append((source, error))
    if missing and len(missing) == len(sources) and all(source.file for source, _ in missing):
        raise missing[0][1]
    for source, what in missing:
        then = "langidd goes on without it" if source.file else "langidd keeps trying"
        log.error("source %s: %s; %s", source.name, what, then)


async def check_all(settings: Settings, tell: Tell, *, timeout_s: float) -> None:
    """Try model, broker, state directory, HTTP port and sources; `tell` each as it is known.

    Returns when all is told. The model comes first and has `MODEL_TIMEOUTS` times as long:
    right after the installation it is read from a cold disk, and whatever was tried beside
    it would seem to be at fault.

    Args:
        settings: what `run` would run with.
        tell: called with `(part, trouble, detail)`, each time one line without secrets;
            `trouble` is None where all is well.
        timeout_s: a part that takes longer is in trouble.

    """
    secrets = settings.secrets()

    async def attempt(part: str, work: Awaitable[str], within_s: float = timeout_s) -> None:
        try:
            async with asyncio.timeout(within_s):
                details = (await work).splitlines()
        except TimeoutError:
            tell(part, f"no answer within {within_s:g} s", "")
        except LangiddError as error:
            tell(part, " ".join(redact(str(error), secrets).split()), "")
        else:
            for detail in details:
                tell(part, None, detail)

    await attempt("model", _model(settings), MODEL_TIMEOUTS * timeout_s)
    parts = [
        attempt("broker", _broker(settings)),
        attempt("state", _state(settings)),
        attempt("files", _files(settings)),
    ]
    if settings.http.port is not None:
        parts.append(attempt("http", _http(settings.http)))
    parts += [attempt(f"source {source.name}", _source(source)) for source in settings.sources]
    if not settings.sources:
        tell("sources", "there is none; add [[sources]] with name and device, rtsp or file", "")
    await asyncio.gather(*parts)


async def _model(settings: Settings) -> str:
    began = time.monotonic()
    async with open_model(settings.model) as opened:
        model = opened.info()
        return (
            f"{settings.model.path} on {model.device}, {model.context} context: "
            f"{', '.join(model.labels)} ({time.monotonic() - began:.1f} s)"
        )


async def _broker(settings: Settings) -> str:
    if settings.mqtt.host is None:
        return "none named; langidd will run its own on the loopback address"
    from langidd.publish.mqtt.probe import probe
    from langidd.publish.mqtt.refusals import losses

    mqtt = settings.mqtt
    await probe(mqtt, settings.node)
    tls = " with TLS" if mqtt.tls.enabled else ""
    place = host_and_port(mqtt.host or "", mqtt.port_number)
    return "\n".join([f"{place}{tls} accepts all that the service sends", *losses(mqtt)])


async def _state(settings: Settings) -> str:
    directory = settings.state_directory
    if directory is None:
        return (
            "no state_directory is set; systemd gives its service one, anywhere else events are "
            "lost when langidd ends while the broker is away"
        )
    if not directory.is_dir():
        if not os.access(directory.parent, os.W_OK):
            raise ConfigError(f"state_directory {directory} does not exist; create it")
        return f"{directory} will be created"
    try:
        await asyncio.to_thread(_write, directory)
    except OSError as error:
        raise ConfigError(
            f"state_directory {directory} cannot be written to: {error.strerror}"
        ) from None
    outbox = directory / FILE_NAME
    if outbox.exists() and not os.access(outbox, os.R_OK | os.W_OK):
        raise ConfigError(f"{outbox} cannot be read and written; give it to langidd's user")
    return f"{directory} can be written to"


def _write(directory: Path) -> None:
    """Write what an outbox needs at first, and take it away again; raises OSError."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(OUTBOX_ROOM_BYTES))
        file.flush()
        os.fsync(file.fileno())


async def _files(settings: Settings) -> str:
    """Look whether the unit's own user can read the files that root can."""
    tls = settings.mqtt.tls
    named = [settings.mqtt.password_file, tls.ca_file, tls.cert_file, tls.key_file]
    named += [tls.key_password_file, *(source.password_file for source in settings.sources)]
    files = [path for path in named if path is not None]
    hidden = [
        str(path)
        for path in files
        if os.geteuid() == 0
        and "credentials" not in path.parts
        and not path.stat().st_mode & stat.S_IROTH
    ]
    advice = f"only root can read {', '.join(hidden)}; a systemd service needs it in credentials/"
    if any(path.startswith("/etc/langidd/") for path in hidden):
        raise ConfigError(advice)
    return "\n".join(
        [f"{len(files)} files of passwords and certificates", *([advice] if hidden else [])]
    )


async def _http(http: HttpSettings) -> str:
    port = http.port or 0
    try:
        with socket.create_server((http.host, port), family=address_family(http.host, port)):
            pass
    except OSError as error:
        if await asyncio.to_thread(_langidd_answers, http.host, port):
            return f"port {port} is served by the langidd that runs"
        raise ServiceError(
            f"cannot listen on {host_and_port(http.host, port)} ({error.strerror or error}); "
            "choose another"
        ) from None
    return f"port {port} is free"


def _langidd_answers(host: str, port: int) -> bool:
    url = f"http://{host_and_port(host, port)}/livez"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return "live" in json.load(answer)
    except urllib.error.HTTPError as error:
        return "live" in error.read().decode(errors="replace")
    except (OSError, ValueError):
        return False


async def _source(settings: SourceSettings) -> str:
    from langidd.audio import open_source

    if settings.file == "-":
        return "standard input, not tried"
    began = time.monotonic()
    samples = 0
    energy = 0.0
    source = open_source(settings)
    async with aclosing(source.chunks()) as chunks:
        async for chunk in chunks:
            samples += len(chunk.samples)
            energy += float(np.square(chunk.samples, dtype=np.float64).sum())
            if samples >= TRIED_S * SAMPLE_RATE:
                break
    if not samples:
        raise LangiddError("it ended without any audio")
    took_s = time.monotonic() - began
    level = 10 * math.log10(energy / samples) if energy else -math.inf
    loudness = f"level {level:.0f} dBFS" if energy else "only digital silence; is it muted?"
    tracks = getattr(source, "tracks", "")
    taken = f"; {tracks}" if tracks else ""
    return f"{samples / SAMPLE_RATE:.1f} s of audio in {took_s:.1f} s, {loudness}{taken}"
