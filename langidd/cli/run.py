"""`langidd run`: the service."""

from __future__ import annotations

import asyncio

import typer

from langidd.cli.flags import SERVICE_FILE, LogLevel, ServiceFile, Set, overrides


def run(
    *,
    config: ServiceFile = SERVICE_FILE,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Run the service: many sources, one model, one connection to the broker.

    SIGTERM and Ctrl-C stop it within 5 seconds; decisions already made are still published.
    SIGHUP reloads the configuration and restarts only the sources that changed; if the new
    configuration is not valid, nothing changes. Under systemd it reports readiness and
    status, and feeds the watchdog.

    **Examples**

        langidd check --config config.toml && langidd run --config config.toml
        langidd run -c config.toml -s log.format=json -s http.port=9123
    """
    from langidd.service.runner import serve

    flags = overrides(settings, log_level=log_level)
    status = asyncio.run(serve(config, flags))
    if status:
        raise typer.Exit(status)
