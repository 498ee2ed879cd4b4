"""A model that fails on every window for as long as it is told to, and works again after."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from langidd.service import model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.config import ModelSettings
    from langidd.model.whisper import Classifier

SWITCH = "FAULTY_MODEL"
"""The variable that names a file: while it exists, the model fails."""

load_checkpoint = model.load_checkpoint


def fails_while(told: Callable[[], bool]) -> Callable[[ModelSettings], Classifier]:
    """What loads the real checkpoint, in place of `langidd.service.model.load_checkpoint`."""

    def load(settings: ModelSettings) -> Classifier:
        classifier = load_checkpoint(settings)
        real = classifier.logits

        def logits(windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
            if told():
                raise RuntimeError("the device is out of order")
            return real(windows)

        classifier.logits = logits  # type: ignore[method-assign]
        return classifier

    return load


def main() -> None:
    """Run langidd's command line with a model that obeys the switch."""
    from langidd.cli import main as langidd

    model.load_checkpoint = fails_while(Path(os.environ[SWITCH]).exists)
    langidd()


if __name__ == "__main__":
    sys.exit(main())
