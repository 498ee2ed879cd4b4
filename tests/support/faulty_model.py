"""A model that fails on every window for as long as it is told to, and works again after."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from langidd.model import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd.config import ModelSettings
    from langidd.model.base import Model
    from langidd.types import Scores, Window

SWITCH = "FAULTY_MODEL"
"""The variable that names a file: while it exists, the model fails."""

open_model = registry.open_model


def fails_while(told: Callable[[], bool]) -> Callable[[ModelSettings], Model]:
    """What opens the real model, in place of `langidd.model.registry.open_model`."""

    def load(settings: ModelSettings) -> Model:
        model = open_model(settings)
        real = model.score

        async def score(windows: Sequence[Window]) -> list[Scores | None]:
            return [None] * len(windows) if told() else await real(windows)

        model.score = score  # type: ignore[method-assign]
        return model

    return load


def main() -> None:
    """Run langidd's command line with a model that obeys the switch."""
    from langidd.cli import main as langidd

    registry.open_model = fails_while(Path(os.environ[SWITCH]).exists)
    langidd()


if __name__ == "__main__":
    sys.exit(main())
