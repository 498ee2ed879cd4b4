"""Real speech, prepared for training: a few clips of every language and split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langidd_training.data.corpus import read_corpora
from langidd_training.data.prepare import Preparation, prepare
from langidd_training.data.store import Store

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ["uz", "ru", "en"]


def prepare_few(speech: Path, directory: Path) -> Store:
    """Prepare a dozen training clips and four dev clips of each into `directory`."""
    chosen = []
    for language in [*LANGUAGES, "other"]:
        for split, count in (("train", 12), ("dev", 4)):
            clips = [
                clip for clip in read_corpora([speech / language], LANGUAGES) if clip.split == split
            ]
            chosen += clips[:: max(1, len(clips) // count)][:count]
    prepare(chosen, directory, Preparation(workers=1, max_clip_s=8.0))
    return Store(directory)
