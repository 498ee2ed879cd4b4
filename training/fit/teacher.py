"""`teach`: what a whole Whisper says of each passage, on as much of it as it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from langidd.types import SAMPLE_RATE
from langidd_training.data.codes import row_of
from langidd_training.fit.network import languages_of, open_network
from langidd_training.fit.targets import ANSWER_LANGUAGES, ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd_training.data.store import Store

LONGEST_S: Final = 5.0
"""So much of a passage the teacher is given."""
TAIL_S: Final = 1.0
"""Silence after the speech: Whisper was trained with it, and is better with it."""


def ask_teacher(
    store: Store,
    checkpoint: str,
    *,
    every_clip: bool = False,
    batch_s: float = 96.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Write the teacher's language probabilities beside the prepared data.

    Args:
        store: The prepared data.
        checkpoint: A whole Whisper of any size, or a model that this package made.
        every_clip: Ask about all passages; otherwise about languages without a token alone.
        batch_s: Seconds of sound in a batch.
        progress: Is told how many passages are done, and of how many.

    Returns:
        How many passages were asked about.

    """
    passages = store.passages("train")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = open_network(checkpoint).to(device)
    languages = languages_of(network)
    asked = [
        number
        for number, passage in enumerate(passages)
        if every_clip or row_of(passage.locale, languages) is None
    ]
    answers = np.full((len(passages), len(languages)), np.nan, np.float16)
    length = round((LONGEST_S + TAIL_S) * SAMPLE_RATE)
    size = max(1, int(batch_s / (LONGEST_S + TAIL_S)))
    for begin in range(0, len(asked), size):
        rows = asked[begin : begin + size]
        sounds = np.zeros((len(rows), length), np.float32)
        for sound, row in zip(sounds, rows, strict=True):
            samples = store.samples(passages[row], 0, round(LONGEST_S * SAMPLE_RATE))
            sound[: len(samples)] = samples
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
            logits = network(torch.from_numpy(sounds).to(device)).float()
        answers[rows] = logits.softmax(dim=-1).cpu().numpy()
        progress(begin + len(rows), len(asked))
    np.save(store.directory / ANSWERS, answers)
    (store.directory / ANSWER_LANGUAGES).write_text(json.dumps(languages), encoding="utf-8")
    return len(asked)
