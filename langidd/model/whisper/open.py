"""From settings to a Whisper checkpoint on an engine, as a model."""

from __future__ import annotations

import logging
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langidd.model.base import DeviceLostError
from langidd.model.worker import EngineModel

if TYPE_CHECKING:
    from langidd.config import ModelSettings
    from langidd.model.base import Engine

log = logging.getLogger(__name__)

CUDA_EXTRA: Final = "pip install 'langidd[cuda]'"


def open_whisper(settings: ModelSettings) -> EngineModel:
    """Return the model that the settings name, on the device that they name.

    With `cpu_fallback` the CPU takes over where the device is missing or fails.
    """
    fallback = partial(_load, settings, "cpu") if settings.cpu_fallback else None
    return EngineModel(partial(_load, settings, settings.device), fallback)


def _load(settings: ModelSettings, device: str) -> Engine:
    context = None if settings.context == "auto" else settings.context
    if device == "cpu" or (device == "auto" and not _cuda_is_there()):
        from langidd.model.whisper.checkpoint import open_checkpoint
        from langidd.model.whisper.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(
            open_checkpoint(settings.path),
            context=context,
            precision=settings.precision,
            threads=settings.threads,
        )
    if find_spec("torch") is None:
        raise DeviceLostError(f"model.device: {device} needs torch ({CUDA_EXTRA})")
    from langidd.model.whisper.torch_engine import load_classifier

    return load_classifier(settings.path, device, settings.context)


def _cuda_is_there() -> bool:
    """Look for a CUDA device; torch is slow to import, so only machines with one do it."""
    dev = Path("/dev")
    if not any(dev.glob("nvidia[0-9]*")) and not (dev / "dxg").exists():
        return False
    if find_spec("torch") is None:
        log.warning("there is an NVIDIA GPU here; for langidd to use it: %s", CUDA_EXTRA)
        return False
    import torch

    return bool(torch.cuda.is_available())
