"""`langidd-train`: the command line; each command only parses and calls.

What does the work is imported inside the commands, so that `--help` needs no torch.
"""

from __future__ import annotations

import typer

from langidd.cli import OneLineErrors
from langidd_training.cli.measure import register as register_measuring
from langidd_training.cli.score import score
from langidd_training.cli.train import register as register_training
from langidd_training.cli.tune import tune

app = typer.Typer(
    name="langidd-train",
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
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
    """Run the command line; an error of ours is one line, and exit status 2."""
    app()
