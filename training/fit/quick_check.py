"""A quick look at the dev split while training runs: windows from the onset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.passages import Passage, cut_all
from langidd_training.fit.features import log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.data.store import Store, StoredClip

TURKIC = frozenset({"kk", "ky", "tr", "az", "tt", "ug", "tk", "tg", "ba"})


def quick_check(
    model: torch.nn.Module,
    store: Store,
    clips: Sequence[StoredClip],
    labels: Sequence[str],
    *,
    lengths_s: Sequence[float] = (1.0, 3.0),
    batch_s: float = 96.0,
) -> dict[str, float]:
    """Macro accuracy over the languages at each length, and AUROC of the unknown.

    A window is the clip's first seconds; of shorter clips all there is, in whole
    tenths of a second. Accuracy counts `other` as wrong for a language.
    """
    was_training = model.training
    model.eval()
    known = [label for label in labels if label != OTHER]
    passages = dev_passages(store, clips, max(lengths_s))
    result: dict[str, float] = {}
    try:
        for length_s in lengths_s:
            probabilities = (
                torch.from_numpy(window_logits(model, cut_all(passages, length_s), batch_s))
                .softmax(dim=-1)
                .numpy()
            )
            said = np.asarray(labels)[probabilities.argmax(axis=1)]
            truth = np.asarray([clip.language for clip in clips])
            accuracy = {
                label: float((said == label)[truth == label].mean())
                for label in known
                if (truth == label).any()
            }
            closed_said = np.asarray(known)[probabilities[:, : len(known)].argmax(axis=1)]
            closed = {
                label: float((closed_said == label)[truth == label].mean()) for label in accuracy
            }
            key = f"{length_s:g}s"
            result |= {f"{key}_closed_{label}": round(value, 4) for label, value in closed.items()}
            result[f"{key}_closed_macro"] = round(float(np.mean(list(closed.values()))), 4)
            result |= {f"{key}_{label}": round(value, 4) for label, value in accuracy.items()}
            result[f"{key}_macro"] = round(float(np.mean(list(accuracy.values()))), 4)
            if OTHER in labels and (truth == OTHER).any():
                score = probabilities[:, list(labels).index(OTHER)]
                result[f"{key}_auroc"] = round(float(roc_auc_score(truth == OTHER, score)), 4)
                turkic = np.asarray([clip.locale in TURKIC for clip in clips])
                chosen = turkic | (truth != OTHER)
                if turkic.any():
                    result[f"{key}_auroc_turkic"] = round(
                        float(roc_auc_score(turkic[chosen], score[chosen])), 4
                    )
        macro = [value for key, value in result.items() if key.endswith("s_macro")]
        result["macro_accuracy"] = round(float(np.mean(macro)), 4)
    finally:
        model.train(was_training)
    return result


def dev_passages(store: Store, clips: Sequence[StoredClip], longest_s: float) -> list[Passage]:
    """The first `longest_s` of each clip, as an evaluation holds them."""
    samples = round(longest_s * SAMPLE_RATE)
    return [
        Passage(
            store.samples(clip, 0, samples),
            *(clip.language, clip.locale, clip.corpus, clip.speaker, clip.path),
        )
        for clip in clips
    ]


@torch.inference_mode()
def window_logits(
    model: torch.nn.Module, passages: Sequence[Passage], batch_s: float = 96.0
) -> np.ndarray:
    """Logits `(passages, labels)` of passages of any lengths, each in whole tenths of a second."""
    tenth = SAMPLE_RATE // 10
    lengths = [len(passage.samples) // tenth * tenth for passage in passages]
    order = np.argsort(lengths, kind="stable")
    result: dict[int, np.ndarray] = {}
    position = 0
    while position < len(order):
        length = lengths[order[position]]
        size = max(1, int(batch_s * SAMPLE_RATE / length))
        rows = [index for index in order[position : position + size] if lengths[index] == length]
        position += len(rows)
        sounds = np.stack([passages[index].samples[:length] for index in rows])
        logits = batch_logits(model, torch.from_numpy(sounds)).cpu()
        for index, row in zip(rows, logits.numpy(), strict=True):
            result[int(index)] = row
    return np.stack([result[index] for index in range(len(passages))])


def batch_logits(model: torch.nn.Module, samples: torch.Tensor) -> torch.Tensor:
    """Logits `(batch, labels) float32`, on the model's device, of samples `(batch, n) float32`."""
    device = next(model.parameters()).device
    # The meta device, on which nothing is computed, has no autocast.
    half = torch.amp.is_autocast_available(device.type)
    with torch.autocast(device.type if half else "cpu", torch.bfloat16, enabled=half):
        logits: torch.Tensor = model(input_features=log_mel(samples.to(device))).logits
    return logits.float()
