"""The settings: their tables, and how file, environment and flags become one of them.

`load_settings` is the way in; the tables alone (`Settings(...)`) read nothing but the
files that their `*_file` keys name.
"""

from __future__ import annotations

from langidd.config.broker import MqttSettings, TlsSettings
from langidd.config.layers import DEFAULT_PATH, load_settings
from langidd.config.pipeline import DecisionSettings, ModelSettings, VadSettings, WindowSettings
from langidd.config.settings import HttpSettings, LogSettings, Settings
from langidd.config.source import SourceSettings

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
