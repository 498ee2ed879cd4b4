"""From settings to a Whisper checkpoint on an engine, in a thread of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from langidd.model.worker import EngineModel

if TYPE_CHECKING:
    from langidd.config import ModelSettings
    from langidd.model.base import Engine


def open_whisper(settings: ModelSettings) -> EngineModel:
    """Return the model that the settings name, on the device that they name.

    With `cpu_fallback` the CPU takes over where the device is missing or fails.
    """
    fallback = partial(_load, settings, "cpu") if settings.cpu_fallback else None
    return EngineModel(partial(_load, settings, settings.device), fallback)


def _load(settings: ModelSettings, device: str) -> Engine:
    from langidd.model.whisper.torch_engine import load_classifier

    return load_classifier(settings.path, device, settings.context, settings.threads)
