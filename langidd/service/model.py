"""The model and the queue before it: loaded, warmed up and closed in one place."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from langidd.errors import LangiddError, ModelError
from langidd.model import registry
from langidd.model.batcher import Batcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from langidd.config import ModelSettings
    from langidd.model.base import Model
    from langidd.model.batcher import BatchReport
    from langidd.types import DroppedWindow

log = logging.getLogger(__name__)


DELAY_S: Final = {"cuda": 0.005, "cpu": 0.02}
"""How long a window waits for others, where the settings leave it open."""


@asynccontextmanager
async def open_model(settings: ModelSettings) -> AsyncIterator[Model]:
    """Load the model and run it once.

    Raises:
        ModelError: it cannot be loaded, or does not run.

    """
    began = time.monotonic()
    model = registry.open_model(settings)
    try:
        try:
            await model.start()
        except LangiddError:
            raise
        except Exception as error:
            raise ModelError(
                f"model {settings.path} cannot run on {settings.device}: {error}"
            ) from error
        info = model.info()
        log.info(
            "model %s on %s in %s, %s context: %s (%.1f s)",
            info.name,
            info.device,
            info.precision,
            info.context,
            ", ".join(info.labels),
            time.monotonic() - began,
        )
        yield model
    finally:
        await model.close()


def make_batcher(
    model: Model,
    settings: ModelSettings,
    *,
    on_batch: Callable[[BatchReport], None],
    on_dropped: Callable[[DroppedWindow], None],
) -> Batcher:
    """Return the queue before a loaded model; `Batcher` says what the callbacks get."""
    device = "cuda" if model.info().device.startswith("cuda") else "cpu"
    delay_s = DELAY_S[device] if settings.max_delay_ms is None else settings.max_delay_ms / 1000
    return Batcher(
        model,
        max_batch=settings.max_batch,
        max_delay_s=delay_s,
        on_batch=on_batch,
        on_dropped=on_dropped,
    )
