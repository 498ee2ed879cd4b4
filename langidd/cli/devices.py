"""`langidd devices`: the microphones of this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from langidd.cli.terminal import json_line
from langidd.errors import printable


def devices(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per device.")
    ] = False,
) -> None:
    """List the microphones, with number and name.

    Numbers can change when a device is plugged in. Part of the name works too, and stays
    the same:

        langidd listen --device "USB Audio"
    """
    from langidd.audio.microphone import list_microphones

    found = list_microphones()
    if as_json:
        for device in found:
            typer.echo(json_line(asdict(device)))
        return
    if not found:
        typer.echo("No microphone was found. Plug one in, or listen to a camera or a file.")
        return
    for device in found:
        typer.echo(
            f"{device.number:4d}  {printable(device.name)}  "
            f"({device.interface}, {device.channels} channels, {device.rate:g} Hz)"
        )
    typer.echo("\nListen to one with: langidd listen --device NUMBER")
