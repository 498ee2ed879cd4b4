"""Tries each thing that the service needs, all of them at once."""

from __future__ import annotations

import asyncio
import math
import os
import stat
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import ConfigError, LangiddError
from langidd.observability.redaction import redact
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from langidd.config import Settings, SourceSettings

    Tell = Callable[[str, str | None, str], None]

WANTED_S: Final = 1.0
"""Seconds of sound that show that a source gives any."""
MODEL_PATIENCE: Final = 3.0
"""How many times as long the model may take as anything else."""


async def check_all(settings: Settings, tell: Tell, *, timeout_s: float) -> None:
    """Try model, broker, state directory and sources; `tell` each as soon as it is known.

    `tell(part, trouble, detail)`: `trouble` is one line without secrets, or None.
    Returns when all is told; a part that takes longer than `timeout_s` is trouble. The model
    comes first and has `MODEL_PATIENCE` times as long: right after the installation torch is
    read from a cold disk, and whatever waited beside it would seem to be at fault.
    """
    secrets = settings.secrets()

    async def attempt(part: str, work: Awaitable[str], within_s: float = timeout_s) -> None:
        try:
            async with asyncio.timeout(within_s):
                detail = await work
        except TimeoutError:
            tell(part, f"nothing within {within_s:g} s", "")
        except LangiddError as error:
            tell(part, " ".join(redact(str(error), secrets).split()), "")
        else:
            tell(part, None, detail)

    await attempt("model", _model(settings), MODEL_PATIENCE * timeout_s)
    parts = [
        attempt("broker", _broker(settings)),
        attempt("state", _state(settings)),
    ]
    parts += [attempt(f"source {source.name}", _source(source)) for source in settings.sources]
    if not settings.sources:
        tell("sources", "there is none; add [[sources]] with name and device, rtsp or file", "")
    await asyncio.gather(*parts)


async def _model(settings: Settings) -> str:
    from langidd.model.whisper import load_classifier

    chosen = settings.model
    began = time.monotonic()

    def load() -> str:
        classifier = load_classifier(
            chosen.path,
            device=chosen.device,
            context=chosen.context,
            threads=chosen.threads,
            cpu_fallback=chosen.cpu_fallback,
        )
        classifier.warm_up()
        labels = ", ".join(classifier.labels)
        return f"{chosen.path} on {classifier.device}, {classifier.context} context: {labels}"

    detail = await asyncio.to_thread(load)
    return f"{detail} ({time.monotonic() - began:.1f} s)"


async def _broker(settings: Settings) -> str:
    if settings.mqtt.host is None:
        return "none named; langidd will run its own on the loopback address"
    from langidd.naming import host_and_port
    from langidd.publish.mqtt.probe import probe
    from langidd.publish.mqtt.refusals import losses

    mqtt = settings.mqtt
    await probe(mqtt, settings.node)
    tls = " with TLS" if mqtt.tls.enabled else ""
    place = host_and_port(mqtt.host or "", mqtt.port_number)
    hidden = [
        f"only root can read {path}; a systemd service needs it in credentials/"
        for path in (mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
        if path is not None and "credentials" not in path.parts and _only_roots(path)
    ]
    return "; ".join([f"{place}{tls} accepts all that the service sends", *losses(mqtt), *hidden])


def _only_roots(path: Path) -> bool:
    return os.geteuid() == 0 and not path.stat().st_mode & stat.S_IROTH


async def _state(settings: Settings) -> str:
    directory = settings.state_directory
    if directory is None:
        return (
            "no state_directory set; systemd gives its service one, anywhere else events are "
            "lost when langidd ends while the broker is away"
        )
    if not directory.is_dir():
        parent = directory.parent
        if not os.access(parent, os.W_OK):
            raise ConfigError(f"state_directory {directory} is not there; make it")
        return f"{directory} will be made"
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"state_directory {directory} cannot be written to")
    return f"{directory} can be written to"


async def _source(settings: SourceSettings) -> str:
    from langidd.audio import open_source

    if settings.file == "-":
        return "standard input, not tried"
    began = time.monotonic()
    heard = 0
    energy = 0.0
    source = open_source(settings)
    async with aclosing(source.chunks()) as chunks:
        async for chunk in chunks:
            heard += len(chunk.samples)
            energy += float(np.square(chunk.samples, dtype=np.float64).sum())
            if heard >= WANTED_S * SAMPLE_RATE:
                break
    if not heard:
        raise LangiddError("it ended without a sound")
    took_s = time.monotonic() - began
    level = 10 * math.log10(energy / heard) if energy else -math.inf
    loudness = f"level {level:.0f} dBFS" if energy else "only digital silence; is it muted?"
    return f"{heard / SAMPLE_RATE:.1f} s of sound in {took_s:.1f} s, {loudness}"
