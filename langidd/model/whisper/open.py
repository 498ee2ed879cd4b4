"""From settings to a Whisper checkpoint on an engine, in a thread of its own."""

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

NVIDIA_DRIVERS: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))
"""Where a machine, or Windows' subsystem for Linux, shows that it has an NVIDIA GPU."""
CUDA_EXTRA: Final = 'pip install "langidd[cuda]" brings what a GPU needs'


def open_whisper(settings: ModelSettings) -> EngineModel:
    """Return the model that the settings name, on the device that they name.

    With `cpu_fallback` the CPU takes over where the device is missing or fails.
    """
    # A precision that was chosen for the GPU may not be one of the CPU's.
    on_cpu = settings.model_copy(update={"precision": "auto"})
    fallback = partial(load_whisper, on_cpu, "cpu") if settings.cpu_fallback else None
    return EngineModel(partial(load_whisper, settings, settings.device), fallback)


def load_whisper(settings: ModelSettings, device: str) -> Engine:
    """Load the model that the settings name onto a device: `auto`, `cpu`, `cuda`, `cuda:N`.

    Raises:
        DeviceLostError: There is no such device here, or it does not work.
        ModelError: The model cannot be used, or the device needs what is not installed.

    """
    if device == "cpu" or (device == "auto" and not _has_cuda()):
        from langidd.model.whisper.openvino_engine import load_engine

        return load_engine(
            settings.path,
            context=settings.context,
            precision=settings.precision,
            threads=settings.threads,
        )
    if find_spec("torch") is None:
        raise DeviceLostError(f"model.device is {device}, and torch is not installed: {CUDA_EXTRA}")
    from langidd.model.whisper.torch_engine import load_classifier

    return load_classifier(settings.path, device, settings.context, settings.precision)


def _has_cuda() -> bool:
    """Whether there is a GPU that torch can use; one that it cannot use is named in the log."""
    if not any(driver.exists() for driver in NVIDIA_DRIVERS):
        return False  # without importing torch, which takes a second
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            return True
    log.warning("there is an NVIDIA GPU; the model runs on the CPU. %s", CUDA_EXTRA)
    return False
