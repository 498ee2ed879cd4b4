"""`langidd listen`: one source, shown in the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from langidd.cli.flags import (
    Compute,
    ConfigFile,
    Languages,
    LogLevel,
    Model,
    Preset,
    Set,
    assignments,
    broker,
    codes,
    nested,
)
from langidd.errors import ConfigError, printable

LONGEST_NAME: Final = 200
"""Characters that a source's name may have."""

if TYPE_CHECKING:
    from langidd.cli.view import View
    from langidd.config import Settings


def listen(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|-",
            help="A recording in any format, or - for raw 16-bit samples on standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="A microphone's number or (part of) its name."),
    ] = None,
    rtsp: Annotated[
        str | None, typer.Option(metavar="URL", help="A camera: rtsp://user:password@host/path.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The camera's password, out of sight.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the source.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a recording at the pace of the clock.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Play a recording over and over.")] = False,
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Of standard input; 16000 unless given.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(metavar="N", help="Of standard input; 1 unless given.")
    ] = None,
    languages: Languages = None,
    preset: Preset = None,
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Publish too: mqtt://user@host, mqtts://host:8883."),
    ] = None,
    mqtt_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The broker's password, out of sight.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a picture.")
    ] = False,
    model: Model = None,
    compute: Compute = None,
    config: ConfigFile = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Listen to one source and show the language as it is spoken.

    Needs no broker and no configuration.

    **Examples**

        langidd listen --device 0
        langidd listen --device "USB Audio" --languages uz,ru
        langidd listen --rtsp rtsp://camera/stream --password-file camera.txt
        langidd listen recording.m4a --realtime
        ffmpeg -i talk.mp4 -f s16le -ac 1 -ar 16000 - | langidd listen -
        langidd listen --device 0 --mqtt mqtt://broker --json
    """
    kinds = {"--device": device, "--rtsp": rtsp, "FILE": file}
    given = [kind for kind, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise ConfigError(
            f"{' and '.join(given) or 'nothing to listen to'} given; "
            "give exactly one of --device, --rtsp, FILE and -"
        )
    source: dict[str, Any] = {
        "name": name or _name(device, rtsp, file),
        "device": device,
        "rtsp": rtsp,
        "file": file,
        "password_file": _absolute(password_file),
        "realtime": realtime or None,
        "loop": loop or None,
        "sample_rate": sample_rate,
        "channels": channels,
        "candidates": codes(languages),
    }
    flags = nested(
        {
            **assignments(settings),
            **broker(mqtt),
            "mqtt.password_file": _absolute(mqtt_password_file),
            "model.path": model,
            "model.device": compute,
            "decision.preset": preset,
            "log.level": log_level,
            "sources": [{key: value for key, value in source.items() if value is not None}],
        }
    )
    from langidd.audio import check_source
    from langidd.cli.view import open_view
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs

    # The view says what the log would say. The service may run beside us on this machine: two
    # nodes of one name would take the broker's connection from each other.
    loaded = load_settings(config, flags, defaults={"log": {"level": "warning"}})
    if "node" not in flags:
        loaded = loaded.model_copy(update={"node": f"{loaded.node}-listen"})
    configure_logs(loaded.log, loaded.secrets())
    check_source(loaded.sources[0])
    with open_view(loaded.sources[0].name, json_lines=json_lines) as view:
        asyncio.run(_listen(loaded, view, publish=mqtt is not None))
    if view.failed:
        raise typer.Exit(1)


async def _listen(settings: Settings, view: View, *, publish: bool) -> None:
    from langidd.service.daemon import Daemon

    daemon = Daemon(
        settings,
        on_decision=view.decision,
        on_scores=view.scores,
        on_health=view.health,
        publish=publish,
        temporary=True,
    )
    await daemon.run()


def _name(device: str | None, rtsp: str | None, file: str | None) -> str:
    """Return what to call a source that nobody named."""
    if rtsp is not None:
        return "camera"
    if device is not None:
        return f"microphone {device}" if device.isdigit() else _usable(device, "microphone")
    return "stdin" if file == "-" else _usable(Path(file or "").stem, "file")


def _usable(name: str, otherwise: str) -> str:
    from langidd.naming import slug

    name = printable(name)[:LONGEST_NAME]
    try:
        slug(name)
    except ConfigError:
        # Nobody chose this name, so nobody need be told that no topic can be made of it.
        return otherwise
    return name


def _absolute(path: Path | None) -> str | None:
    """A file named on the command line lies where the person is, not beside the settings."""
    return None if path is None else str(path.absolute())
