"""The command line: it parses and calls; what a command needs is imported when it runs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from langidd import __version__
from langidd.cli.terminal import adapt_streams
from langidd.errors import LangiddError

EXIT_WRONG = 2
"""The exit status where the user can fix the cause: a setting, a device, a file."""

EXIT_INTERRUPTED = 130


class OneLineErrors(TyperGroup):
    """Turns our own errors into one line and exit status 2; Ctrl-C exits without a traceback."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Run the command line; output adapts to the terminal's encoding."""
        adapt_streams()
        return super().main(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from langidd.observability.logging import early_logs

        early_logs()
        try:
            return super().invoke(ctx)
        except LangiddError as error:
            _tell(error)
            raise typer.Exit(EXIT_WRONG) from None
        except BaseExceptionGroup as group:
            # Tasks that run together fail together.
            ours = group.subgroup(LangiddError)
            if ours is None or group.split(LangiddError)[1] is not None:
                raise
            _tell(first_of(ours))
            raise typer.Exit(EXIT_WRONG) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def first_of(group: BaseExceptionGroup[LangiddError]) -> LangiddError:
    """Return the first error within groups of groups."""
    inner = group.exceptions[0]
    return first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _tell(error: LangiddError) -> None:
    from langidd.observability.logging import final_line

    typer.echo(final_line(str(error)), err=True)


app = typer.Typer(
    name="langidd",
    cls=OneLineErrors,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `langidd demo`, then `langidd listen --device 0`.",
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"langidd {__version__}")
        raise typer.Exit


@app.callback()
def langidd(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _version(wanted=value),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Identify the language being spoken, live, and publish it over MQTT.

    Sources are microphones, cameras and files. Audio never leaves this machine.

    Settings come from a TOML file, from environment variables (LANGIDD_MQTT__HOST sets
    mqtt.host) and from flags. Flags override variables, and variables override the file.
    """


def _register() -> None:
    """Add the commands, in the order in which a new user needs them."""
    for name in ("demo", "devices", "listen", "classify", "check", "run", "bench"):
        module = importlib.import_module(f"langidd.cli.{name}")
        app.command(name)(getattr(module, name))
    app.add_typer(importlib.import_module("langidd.cli.service").app, name="service")


_register()


def main() -> None:
    """Run the command line and exit at once when it is done.

    Everything is closed by then. Unloading a large library can cost the interpreter a second of
    CPU, which on a small or busy machine is longer than systemd waits after SIGTERM.
    """
    try:
        app()
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)
