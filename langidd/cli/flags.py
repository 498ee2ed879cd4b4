"""The flags that several commands share, and how they become settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from langidd.errors import ConfigError

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="A TOML file with settings."),
]
ServiceFile = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="LANGIDD_CONFIG", metavar="FILE", help="The configuration file."
    ),
]
SERVICE_FILE = Path("/etc/langidd/config.toml")
"""Where `langidd service install` puts the settings."""
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Any setting, by its key in the file: -s mqtt.keepalive_s=60",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="The name of a shipped model (default uz-ru-en), a directory, or a Hugging Face name.",
    ),
]
Compute = Annotated[
    str | None,
    typer.Option("--compute", metavar="auto|cpu|cuda", help="The device that runs the model."),
]
Track = Annotated[
    str | None,
    typer.Option(
        metavar="N|LANGUAGE",
        help="The audio track to take: its number, from 0, or its language.",
    ),
]
Languages = Annotated[
    str | None,
    typer.Option(
        "--languages",
        "-l",
        metavar="UZ,RU,…",
        help="The languages spoken here. Fewer candidates give better decisions.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="fast|balanced|steady", help="Report a change sooner, or with more certainty."
    ),
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="The lowest level to log: debug, info, warning or error.",
    ),
]


def overrides(
    settings: list[str] | None,
    *,
    log_level: str | None,
    model: str | None = None,
    compute: str | None = None,
    preset: str | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the settings that the flags of a command give, nested as in the file.

    Args:
        settings: The texts of `--set`; the command's own flags override them.
        log_level: `--log-level`.
        model: `--model`.
        compute: `--compute`.
        preset: `--preset`.
        more: The command's further settings, by key: `{"mqtt.host": "broker"}`.

    Raises:
        ConfigError: A text of `--set` is not `KEY=VALUE`.

    """
    flags = {
        "model.path": model,
        "model.device": compute,
        "decision.preset": preset,
        "log.level": log_level,
        **(more or {}),
    }
    given = {key: value for key, value in flags.items() if value is not None}
    return nested({**assignments(settings), **given})


def nested(pairs: dict[str, Any]) -> dict[str, Any]:
    """Turn `{"mqtt.host": "x"}` into `{"mqtt": {"host": "x"}}`, without what is None."""
    tree: dict[str, Any] = {}
    for key, value in pairs.items():
        if value is None:
            continue
        *tables, last = key.split(".")
        branch = tree
        for table in tables:
            branch = branch.setdefault(table, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"--set {key}: {table} is a value already, not a table")
        branch[last] = value
    return tree


def assignments(texts: list[str] | None) -> dict[str, Any]:
    """Read `KEY=VALUE` of `--set`: a value as in TOML, or plain text without quotes."""
    pairs: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key or not all(key.split(".")):
            shown = key if key.isprintable() else "…"
            raise ConfigError(f"--set {shown}: it must be KEY=VALUE, as in mqtt.port=1883")
        pairs[key] = _value(value.strip())
    return pairs


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, RecursionError):
        return text


def codes(text: str | None) -> list[str] | None:
    """Split `uz,ru,en`."""
    return None if text is None else [code.strip() for code in text.split(",") if code.strip()]


def broker(url: str | None) -> dict[str, Any]:
    """Turn `mqtt[s]://[user[:password]@]host[:port]`, or a host alone, into settings."""
    if url is None:
        return {}
    if "://" not in url:
        # An IPv6 address alone needs no brackets; with a port it does.
        url = (
            f"mqtt://[{url}]"
            if url.count(":") > 1 and not set(url) & set("[@")
            else f"mqtt://{url}"
        )
    login = url.partition("://")[2].rpartition("@")[0]
    wrong = next((character for character in login if character in "/?#[]"), None)
    if wrong:
        raise ConfigError(
            f"--mqtt: the user or the password holds '{wrong}'; write %{ord(wrong):02X} for it, "
            "or give the password in --mqtt-password-file"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("--mqtt is no URL; it must be mqtt://host or mqtts://host:8883") from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ConfigError("--mqtt: it must be mqtt://host or mqtts://host:8883, without a path")
    return {
        "mqtt.host": unquote(parts.hostname),
        "mqtt.port": port,
        "mqtt.username": unquote(parts.username) if parts.username else None,
        "mqtt.password": unquote(parts.password) if parts.password else None,
        "mqtt.tls.enabled": True if parts.scheme == "mqtts" else None,
    }
