"""`langidd devices`: the microphones of this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from langidd.cli.terminal import json_line
from langidd.errors import printable


def devices(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a device.")] = False,
) -> None:
    """List the microphones, by number and by name.

    Numbers move when something is plugged in; a part of the name stays:

        langidd listen --device "USB Audio"
    """
    from langidd.audio.microphone import list_microphones

    found = list_microphones()
    if as_json:
        for device in found:
            typer.echo(json_line(asdict(device)))
        return
    if not found:
        typer.echo("There is no microphone here. Plug one in, or listen to a camera or a file.")
        return
    for device in found:
        typer.echo(
            f"{device.number:4d}  {printable(device.name)}  "
            f"({device.interface}, {device.channels} channels, {device.rate:g} Hz)"
        )
    typer.echo("\nListen to one with: langidd listen --device NUMBER")
