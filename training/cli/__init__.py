"""`langidd-train`: the command line; each command only parses and calls.

What does the work is imported inside the commands, so that `--help` needs no torch.
"""

from __future__ import annotations

import sys

import typer

from langidd.errors import LangiddError
from langidd_training.cli.measure import register as register_measuring
from langidd_training.cli.score import score
from langidd_training.cli.train import register as register_training
from langidd_training.cli.tune import tune

app = typer.Typer(
    name="langidd-train",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def about() -> None:
    """From speech to a checkpoint that langidd can use, and its figures."""


register_training(app)
register_measuring(app)
app.command()(score)
app.command()(tune)


def main() -> None:
    """Run the command line; an error of ours is one line, and exit code 1."""
    try:
        app()
    except LangiddError as error:
        typer.echo(f"langidd-train: {error}", err=True)
        sys.exit(1)
