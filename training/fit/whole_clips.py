"""The original recipe's items: a whole clip, zero-padded or cut to 30 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from langidd.model.whisper.torch_log_mel import LogMel
from langidd.types import SAMPLE_RATE
from langidd_training.evaluation.passages import LONGEST_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.data.store import Store, StoredClip


class WholeClips(Dataset[dict[str, torch.Tensor]]):
    """Item i is clip i: `input_features (mels, 3000)` and its label."""

    def __init__(
        self, store: Store, clips: Sequence[StoredClip], labels: Sequence[str], mels: int
    ) -> None:
        self._store = store
        self._clips = [clip for clip in clips if clip.language in labels]
        self._labels = {label: index for index, label in enumerate(labels)}
        self._log_mel = LogMel(mels, torch.device("cpu"))

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        clip = self._clips[index]
        most = round(LONGEST_S * SAMPLE_RATE)
        samples = self._store.samples(clip)[:most]
        padded = np.pad(samples, (0, most - len(samples)))
        features = self._log_mel(torch.from_numpy(padded)[None])[0]
        return {"input_features": features, "labels": torch.tensor(self._labels[clip.language])}
