"""The model, loaded, warmed up and closed in one place."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from langidd.errors import LangiddError, ModelError
from langidd.model import registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langidd.config import ModelSettings
    from langidd.model.base import Model

log = logging.getLogger(__name__)


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
