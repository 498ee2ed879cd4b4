"""The JSON Schemas (2020-12) of the messages, as they are shipped."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

NAMES: Final = ("availability", "language", "state", "event", "window", "discovery")
"""One schema for each kind of message; a topic's last part, but for `discovery`."""


def load(name: str) -> dict[str, Any]:
    """Return a schema; its `examples` are real messages."""
    text = (files("langidd.publish") / "schema" / f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
