"""How good a window of one second is, by where in the speech it begins.

Every clip of the dev split is scored from its onset, and from later on. The first second of
a sentence is the hardest, and the one on which a source's first decision rests.

usage: python benchmarks/onset.py SPEECH [--model DIRECTORY]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from langidd.model.whisper.openvino_engine import load_engine
from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.passages import read_passages
from langidd_training.evaluation.scoring import known_targets

LANGUAGES: Final = ("uz", "ru", "en")
BEGINS_S: Final = (0.0, 0.2, 0.4, 0.6, 1.0, 1.5)
WINDOW_S: Final = 1.0
BATCH: Final = 32


def main() -> None:
    """Ask, and print the share of right answers, the best of the three languages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--model", default="uz-ru-en")
    arguments = parser.parse_args()
    engine = load_engine(arguments.model)
    columns = [
        engine.labels.index(language) for language in known_targets(engine.labels, LANGUAGES)
    ]
    passages = [
        passage
        for passage in read_passages([arguments.speech], LANGUAGES).passages
        if passage.language != OTHER and passage.duration_s >= max(BEGINS_S) + WINDOW_S
    ]
    truth = np.array([LANGUAGES.index(passage.language) for passage in passages])
    table = Table("window begins, s after the onset", "clips", *LANGUAGES, "all")
    for begin_s in BEGINS_S:
        first, last = (round(at * SAMPLE_RATE) for at in (begin_s, begin_s + WINDOW_S))
        windows = [passage.samples[first:last] for passage in passages]
        logits = np.concatenate(
            [engine.logits(windows[at : at + BATCH]) for at in range(0, len(windows), BATCH)]
        )
        right = logits[:, columns].argmax(axis=1) == truth
        shares = [right[truth == index].mean() for index in range(len(LANGUAGES))]
        table.add_row(
            f"{begin_s:g}",
            str(len(passages)),
            *(f"{100 * share:.1f}" for share in (*shares, right.mean())),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
