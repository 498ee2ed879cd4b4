"""`langidd check`: tests everything that the service needs."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from langidd.cli.flags import SERVICE_FILE, LogLevel, ServiceFile, Set, overrides
from langidd.errors import printable


def check(
    *,
    config: ServiceFile = SERVICE_FILE,
    settings: Set = None,
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=1.0,
            max=600.0,
            help="Seconds allowed for each test; loading the model may take three times as long.",
        ),
    ] = 20.0,
    log_level: LogLevel = None,
) -> None:
    """Test everything that the service needs, and report each result.

    Reads the configuration, loads the model, connects to the broker and reads a second of
    audio from each source. Each test prints a line with ✓ or ✗. The exit status is 1 if a
    test fails, and 2 if the configuration cannot be read.

    **Example**

        langidd check --config /etc/langidd/config.toml
    """
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs
    from langidd.service.preflight import check_all

    flags = overrides(settings, log_level=log_level)
    loaded = load_settings(config, flags, defaults={"log": {"level": "error"}})
    configure_logs(loaded.log, loaded.secrets())
    told = wrong = 0
    typer.echo(f"✓ configuration: {printable(str(config))} ({len(loaded.sources)} sources)")

    def tell(part: str, trouble: str | None, detail: str) -> None:
        nonlocal told, wrong
        told += 1
        wrong += trouble is not None
        typer.echo(f"✗ {part}: {trouble}" if trouble is not None else f"✓ {part}: {detail}")

    asyncio.run(check_all(loaded, tell, timeout_s=timeout_s))
    if wrong:
        typer.echo(f"{wrong} of {told} checks failed", err=True)
        raise typer.Exit(1)
