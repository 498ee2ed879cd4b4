"""The model, loaded, warmed up and closed in one place."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langidd.config import ModelSettings
    from langidd.model.whisper import Classifier
    from langidd.model.worker import ClassifierWorker

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_model(settings: ModelSettings) -> AsyncIterator[ClassifierWorker]:
    """Load the model and run it once.

    Raises:
        ModelError: it cannot be loaded, or does not run.

    """
    # Imported here: the engine is slow to import, and nothing needs it sooner.
    from langidd.model.worker import ClassifierWorker

    began = time.monotonic()
    worker = ClassifierWorker(lambda: load_checkpoint(settings), cpu_fallback=settings.cpu_fallback)
    try:
        await worker.start()
        classifier = worker.classifier
        log.info(
            "model %s on %s, %s context: %s (%.1f s)",
            classifier.name,
            classifier.device,
            classifier.context,
            ", ".join(classifier.labels),
            time.monotonic() - began,
        )
        yield worker
    finally:
        worker.close()


def load_checkpoint(settings: ModelSettings) -> Classifier:
    """Open the checkpoint that the settings name; raises ModelError."""
    from langidd.model.whisper import load_classifier

    return load_classifier(
        settings.path,
        device=settings.device,
        context=settings.context,
        threads=settings.threads,
        cpu_fallback=settings.cpu_fallback,
    )
