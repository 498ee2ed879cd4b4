"""`langidd demo`: the daemon on a recording, as an MQTT subscriber sees it."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from rich.console import Console
from rich.text import Text

from langidd.config import Settings
from langidd.observability.logging import configure_logs
from langidd.publish.mqtt.broker import EmbeddedBroker
from langidd.service.daemon import Daemon

if TYPE_CHECKING:
    from rich.console import RenderableType

NODE: Final = "demo"
SOURCE: Final = "conversation"
COLOURS: Final = {"uz": "green", "ru": "cyan", "en": "magenta", "und": "yellow", "zxx": "dim"}
NAMES: Final = {
    "uz": "Uzbek",
    "ru": "Russian",
    "en": "English",
    "und": "speech, language uncertain",
    "zxx": "nobody is speaking",
}
GOODBYE_S: Final = 3.0
"""How long the subscriber waits for the last message of the daemon."""


async def show_demo(*, plain: bool = False) -> None:
    """Run the demo, about three quarters of a minute.

    Args:
        plain: Print without colour.

    """
    console = Console(force_terminal=False if plain else None, highlight=False)
    recording = resources.files("langidd") / "demo" / "conversation.ogg"
    with resources.as_file(recording) as path:
        async with EmbeddedBroker() as broker:
            settings = Settings.model_validate(
                {
                    "node": NODE,
                    "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
                    "sources": [{"name": SOURCE, "file": str(path), "realtime": True}],
                    "log": {"level": "error"},
                }
            )
            configure_logs(settings.log, settings.secrets())
            console.print(f"MQTT broker on {broker.host}:{broker.port}; loading the model …")
            await _watch(settings, console)
    console.print(
        "\nNext, try a microphone: [bold]langidd listen --device 0[/]"
        "   (langidd devices lists them)",
        soft_wrap=True,
    )


async def _watch(settings: Settings, console: Console) -> None:
    subscribed = asyncio.Event()
    watching = asyncio.create_task(_subscribe(settings, console, subscribed))
    try:
        await subscribed.wait()
        daemon = Daemon(settings)
        running = asyncio.create_task(daemon.run())
        done, _ = await asyncio.wait([running, watching], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await running
        with suppress(TimeoutError):
            await asyncio.wait_for(watching, GOODBYE_S)
    finally:
        watching.cancel()


async def _subscribe(settings: Settings, console: Console, subscribed: asyncio.Event) -> None:
    """Show every message until the node goes offline."""
    seen_online = False
    async with aiomqtt.Client(
        settings.mqtt.host or "",
        settings.mqtt.port_number,
        protocol=aiomqtt.ProtocolVersion.V311,
        identifier="demo-subscriber",
    ) as client:
        await client.subscribe(f"{settings.mqtt.base}/{NODE}/#", qos=1)
        subscribed.set()
        async for message in client.messages:
            topic = str(message.topic)
            payload = bytes(message.payload or b"").decode()
            line = _line(topic, payload)
            if line is not None:
                console.print(line, soft_wrap=True)
                sys.stdout.flush()
            if topic.endswith("/status"):
                if payload == "offline" and seen_online:
                    return
                seen_online = seen_online or payload == "online"


def _line(topic: str, payload: str) -> RenderableType | None:
    """Return a message as it is shown; `state` repeats `event` and is left out."""
    if topic.endswith("/event"):
        return _event(topic, json.loads(payload))
    if topic.endswith("/language"):
        return Text(f"  {topic}  ", style="dim").append(
            payload, style=f"bold {COLOURS.get(payload, '')}".strip()
        )
    if topic.endswith(("/status", "/availability")):
        return Text(f"  {topic}  {payload}", style="dim")
    return None


def _event(topic: str, event: dict[str, Any]) -> Text:
    language = event["language"]
    at = datetime.fromisoformat(event["decided_at"]).astimezone().strftime("%H:%M:%S")
    line = Text(f"{at}  {topic}  ", style="dim")
    if event["type"] == "pause":
        return line.append("end of a speech segment", style="dim")
    line.append(f"{NAMES.get(language, language)}", style=f"bold {COLOURS.get(language, '')}")
    if language in {"und", "zxx"}:
        return line
    return line.append(f"  {event['confidence']:.0%} sure", style="default")
