"""A quick check on the dev split while training runs: windows from the onset."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from langidd.types import SAMPLE_RATE
from langidd_training.fit.network import languages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langidd_training.data.store import Store, StoredClip
    from langidd_training.fit.network import LanguageWhisper

LENGTHS_S: Final = (1.0, 3.0)
OF_A_VOICE: Final = 2
OF_A_CORPUS: Final = 40
"""Passages that are checked: few, so that training goes on soon."""


def check(
    network: LanguageWhisper, store: Store, languages: Sequence[str], *, batch: int = 32
) -> dict[str, float]:
    """Measure the accuracy among some languages, every voice weighing the same.

    Args:
        network: On any device.
        store: Its dev split is read.
        languages: Those that count; passages in others are left out.
        batch: Windows at a time.

    Returns:
        `macro_1s`, `macro_3s` and `macro`, the mean of both; lengths without a passage are
        left out.

    """
    columns = [languages_of(network).index(language) for language in languages]
    was_training = network.training
    network.eval()
    found: dict[str, float] = {}
    for length_s in LENGTHS_S:
        length = round(length_s * SAMPLE_RATE)
        passages = _few(
            passage
            for passage in store.passages("dev")
            if passage.language in languages and passage.samples >= length
        )
        right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for begin in range(0, len(passages), batch):
            some = passages[begin : begin + batch]
            samples = np.stack([store.samples(passage, 0, length) for passage in some])
            best = window_logits(network, torch.from_numpy(samples))[:, columns].argmax(dim=1)
            for passage, column in zip(some, best.tolist(), strict=True):
                right[passage.language][passage.speaker].append(
                    languages[column] == passage.language
                )
        if right:
            found[f"macro_{length_s:g}s"] = float(
                np.mean([np.mean([np.mean(own) for own in voices.values()])
                         for voices in right.values()])
            )  # fmt: skip
    if found:
        found["macro"] = float(np.mean(list(found.values())))
    network.train(was_training)
    return found


def window_logits(network: LanguageWhisper, samples: torch.Tensor) -> torch.Tensor:
    """Score `(batch, n)` samples where the network is; returns `(batch, languages) float32`."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: torch.Tensor = network(samples.to(device))
    return logits.float()


def _few(passages: Iterable[StoredClip]) -> list[StoredClip]:
    voices: Counter[str] = Counter()
    corpora: Counter[tuple[str, str]] = Counter()
    kept = []
    for passage in passages:
        corpus = (passage.language, passage.corpus)
        if voices[passage.speaker] < OF_A_VOICE and corpora[corpus] < OF_A_CORPUS:
            voices[passage.speaker] += 1
            corpora[corpus] += 1
            kept.append(passage)
    return kept
