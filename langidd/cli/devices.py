"""`langidd devices`: the microphones of this machine."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def devices(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a device.")] = False,
) -> None:
    """List the microphones, by number and by name.

    Numbers move when something is plugged in; a part of the name stays:

        langidd listen --device "USB Audio"
    """
    from langidd.sources.microphone import input_devices

    found = input_devices()
    if as_json:
        for device in found:
            shown = {
                "number": device.number,
                "name": device.name,
                "channels": device.channels,
                "sample_rate": device.sample_rate,
                "default": device.default,
            }
            typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    if not found:
        typer.echo("There is no microphone here. Plug one in, or listen to a camera or a file.")
        return
    for device in found:
        mark = "*" if device.default else " "
        typer.echo(
            f"{mark}{device.number:3d}  {device.name}"
            f"  ({device.channels} channels, {device.sample_rate:g} Hz)"
        )
    typer.echo("\n* is the default. Listen to one with: langidd listen --device NUMBER")
