"""`langidd listen`: one source, shown in the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from langidd.cli.flags import (
    Compute,
    ConfigFile,
    Languages,
    LogLevel,
    Model,
    Preset,
    Set,
    Track,
    broker,
    codes,
    overrides,
)
from langidd.errors import ConfigError, printable

LONGEST_NAME: Final = 200
"""Characters that a source's name may have."""

Shown = TypeVar("Shown")

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.cli.view import View
    from langidd.config import Settings


def listen(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|-",
            help="A recording in any format, or - for raw 16-bit samples from standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="A microphone's number, or part of its name."),
    ] = None,
    rtsp: Annotated[
        str | None, typer.Option(metavar="URL", help="A camera: rtsp://user:password@host/path.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the camera's password.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for the source.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a recording in real time.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Repeat a recording.")] = False,
    sample_rate: Annotated[
        int | None,
        typer.Option(metavar="HZ", help="Sample rate of standard input (default 16000)."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(metavar="N", help="Channels of standard input (default 1).")
    ] = None,
    track: Track = None,
    languages: Languages = None,
    preset: Preset = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Publish to a broker as well: mqtt://user@host, mqtts://host:8883."
        ),
    ] = None,
    mqtt_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the broker's password.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    model: Model = None,
    compute: Compute = None,
    config: ConfigFile = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Listen to one source and show the language being spoken.

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
        "track": track,
        "candidates": codes(languages),
    }
    flags = overrides(
        settings,
        log_level=log_level,
        model=model,
        compute=compute,
        preset=preset,
        more={
            **broker(mqtt),
            "mqtt.password_file": _absolute(mqtt_password_file),
            "sources": [{key: value for key, value in source.items() if value is not None}],
        },
    )
    from langidd.audio import check_source
    from langidd.cli.view import open_view
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs

    # The view shows what the log would say. The service may run on this machine as well: two
    # nodes with one name would take over each other's connection to the broker.
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

    def show(write: Callable[[Shown], None]) -> Callable[[Shown], None]:
        def shown(value: Shown) -> None:
            try:
                write(value)
            except BrokenPipeError:
                # Whoever read our output has left (`| head`): what follows goes nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                daemon.stop()

        return shown

    daemon = Daemon(
        settings,
        on_decision=show(view.decision),
        on_scores=show(view.scores),
        on_health=show(view.health),
        publish=publish,
        temporary=True,
    )
    await daemon.run()


def _name(device: str | None, rtsp: str | None, file: str | None) -> str:
    """Return a name for a source that was given none."""
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
        # The user did not choose this name, so it is no error that it makes no topic.
        return otherwise
    return name


def _absolute(path: Path | None) -> str | None:
    """Resolve a file of the command line against the working directory, not the configuration."""
    return None if path is None else str(path.absolute())
