"""The settings: their models, and how file, environment and flags become one of them.

`load_settings` is the way in; the models alone (`Settings(...)`) read nothing but the
files that their `*_file` keys name.
"""

from __future__ import annotations

from langidd.config.layers import DEFAULT_PATH, load_settings
from langidd.config.models import (
    DecisionSettings,
    HttpSettings,
    LogSettings,
    ModelSettings,
    MqttSettings,
    Settings,
    SourceSettings,
    TlsSettings,
    VadSettings,
    WindowSettings,
)

__all__ = [
    "DEFAULT_PATH",
    "DecisionSettings",
    "HttpSettings",
    "LogSettings",
    "ModelSettings",
    "MqttSettings",
    "Settings",
    "SourceSettings",
    "TlsSettings",
    "VadSettings",
    "WindowSettings",
    "load_settings",
]
