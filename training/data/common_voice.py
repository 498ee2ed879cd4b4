"""Writing recordings in Common Voice's layout: `<language>/clips/` beside `<split>.tsv`."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

import soundfile

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

COLUMNS: Final = ("client_id", "path", "sentence", "locale", "source")


def write_clip(path: Path, samples: npt.NDArray[np.float32]) -> None:
    """Write `(n,) float32` at 16 kHz as 16-bit FLAC, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    soundfile.write(partial, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    partial.rename(path)


def write_split(path: Path, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Write a split's table, rows of `COLUMNS`; Common Voice never quotes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(COLUMNS)
        writer.writerows(rows)
