"""Prepared recordings: one file of samples that is mapped, one table beside it."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

SAMPLES: Final = "audio.i16"
TABLE: Final = "clips.tsv"

PASSAGE_S: Final = 8.0
"""Clips of a voice are joined up to this length: words become speech."""


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A decoded clip: `samples` of them from `offset` on."""

    offset: int
    samples: int
    language: str
    locale: str
    corpus: str
    speaker: str
    split: str
    path: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples / SAMPLE_RATE

    def continues(self, clip: StoredClip) -> bool:
        """Whether `clip` lies right behind this one, is of the same voice, and both are short."""
        return (
            clip.offset == self.offset + self.samples
            and self.seconds + clip.seconds <= PASSAGE_S
            and (clip.split, clip.locale, clip.speaker) == (self.split, self.locale, self.speaker)
        )


class Store:
    """The prepared recordings of a run, read in place."""

    def __init__(self, directory: Path) -> None:
        table = directory / TABLE
        if not table.is_file():
            raise ConfigError(f"{directory}: nothing prepared; run `langidd-train prepare` first")
        with table.open(encoding="utf-8", newline="") as lines:
            self.clips = [
                StoredClip(
                    **{**row, "offset": int(row["offset"]), "samples": int(row["samples"])}  # type: ignore[arg-type]
                )
                for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            ]
        self.directory = directory
        self._audio = np.memmap(directory / SAMPLES, dtype=np.int16, mode="r")

    @property
    def languages(self) -> tuple[str, ...]:
        """The classes of the training clips without `other`, in the table's order."""
        found = dict.fromkeys(clip.language for clip in self.clips if clip.split == "train")
        return tuple(language for language in found if language != OTHER)

    def passages(self, split: str) -> list[StoredClip]:
        """Join the neighbouring clips of one voice, up to `PASSAGE_S`; longer ones stay alone."""
        joined: list[StoredClip] = []
        for clip in self.clips:
            if clip.split != split:
                continue
            last = joined[-1] if joined else None
            if last is not None and last.continues(clip):
                joined[-1] = replace(last, samples=last.samples + clip.samples)
            else:
                joined.append(clip)
        return joined

    def samples(
        self, clip: StoredClip, start: int = 0, count: int | None = None
    ) -> npt.NDArray[np.float32]:
        """`(n,) float32` within ±1: the whole clip, or `count` samples of it from `start`."""
        stop = clip.samples if count is None else min(clip.samples, start + count)
        raw = self._audio[clip.offset + start : clip.offset + stop]
        return raw.astype(np.float32) * np.float32(1 / 32_768)

    def __getstate__(self) -> dict[str, object]:
        """A worker maps the file itself, instead of being sent its content."""
        return {"directory": self.directory}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["directory"])  # type: ignore[misc]


def write_table(directory: Path, clips: Iterable[StoredClip]) -> None:
    """Write the table beside the samples."""
    with (directory / TABLE).open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
        writer.writerow([field.name for field in fields(StoredClip)])
        writer.writerows(astuple(clip) for clip in clips)
