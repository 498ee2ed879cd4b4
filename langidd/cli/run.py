"""`langidd run`: the service."""

from __future__ import annotations

import asyncio

import typer

from langidd.cli.flags import SERVICE_FILE, LogLevel, ServiceFile, Set, assignments, nested


def run(
    *,
    config: ServiceFile = SERVICE_FILE,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Run the service: many sources, one model, one connection to the broker.

    SIGTERM and Ctrl-C end it within 5 seconds, what is decided still going out. SIGHUP
    reads the configuration again and touches only the sources that changed; one that
    does not parse leaves everything as it is. Under systemd it says when it is ready,
    how it is, and that it is alive.

    **Examples**

        langidd check --config config.toml && langidd run --config config.toml
        langidd run -c config.toml -s log.format=json -s http.port=9123
    """
    from langidd.service.runner import serve

    flags = nested({**assignments(settings), "log.level": log_level})
    status = asyncio.run(serve(config, flags))
    if status:
        raise typer.Exit(status)
