"""`langidd service`: installs and removes the systemd service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from langidd.errors import printable

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Install or remove the systemd service.",
)

Root = Annotated[Path, typer.Option(metavar="DIR", help="Write below this directory instead of /.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, without doing it.")
]


@app.command()
def install(
    *,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Let the service use sound cards.")
    ] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Let the service use an NVIDIA GPU.")] = False,
    internet: Annotated[
        bool, typer.Option("--internet", help="Let the service reach beyond the local network.")
    ] = False,
    dry_run: DryRun = False,
    root: Root = Path("/"),
) -> None:
    """Install the unit, its drop-ins, the directories and an example configuration.

    The service runs as its own user, which systemd creates while it runs. An existing
    configuration is kept. Each step is shown.

    **Examples**

        sudo langidd service install --dry-run
        sudo langidd service install --microphone
        sudo systemctl enable --now langidd
    """
    from langidd.service.unit.installation import install as put

    chosen = {"microphone": microphone, "gpu": gpu, "internet": internet}
    drop_ins = [name for name, wanted in chosen.items() if wanted]
    for line in put(root, drop_ins, dry_run=dry_run):
        typer.echo(printable(line))


@app.command()
def uninstall(*, dry_run: DryRun = False, root: Root = Path("/")) -> None:
    """Remove the unit and its drop-ins; keep the configuration and the state."""
    from langidd.service.unit.installation import uninstall as take

    for line in take(root, dry_run=dry_run):
        typer.echo(printable(line))
