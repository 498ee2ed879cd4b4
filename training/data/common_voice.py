"""Writing recordings in Common Voice's layout: `<language>/clips/` beside `<split>.tsv`."""

from __future__ import annotations

import csv
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

COLUMNS: Final = ("client_id", "path", "sentence", "locale", "source")


def write_flac(path: Path, samples: npt.NDArray[np.float32]) -> None:
    """Write `(n,) float32` at 16 kHz as 16-bit FLAC, whole or not at all."""
    whole = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with av.open(str(partial), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.format = "s16"
        for at in range(0, len(whole), 4096):
            frame = av.AudioFrame.from_ndarray(
                whole[None, at : at + 4096], format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE, at
            frame.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    partial.rename(path)


def write_split(path: Path, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Write a split's table, rows of `COLUMNS`; Common Voice never quotes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(COLUMNS)
        writer.writerows(rows)
