"""The optional teacher: what Whisper's own language tokens say of each clip.

A full Whisper was trained on 680,000 hours: what it says of a clip does not depend on
the few recorders of the corpora at hand. Its answers over all of its languages, taken
once, are a second target in training, which keeps the encoder listening to the
language. It does not know every language well (Uzbek not at all), but that is what
the classes are for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from transformers import GenerationConfig, WhisperForConditionalGeneration

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE
from langidd_training.fit.features import log_mel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.store import Store

FILE: Final = "teacher.npy"
LANGUAGES: Final = "teacher.json"
RELATIVES: Final = {"uz": ("uz", "tr", "az", "kk", "fa", "tg", "tt", "tk")}
"""What Whisper calls a language that it does not know (whisper-base finds `uz` on none of
199 Uzbek clips)."""

PADDING_S: Final = 2.0
"""Silence after the clip. Whisper has never met a sound that stops at the end of its
context; 2 s make its answers as good as the usual 30 s do (61 % against 58 % of single
Russian words, whisper-base) at a tenth of the arithmetic."""


def ask_teacher(
    store: Store,
    checkpoint: str,
    *,
    longest_s: int = 5,
    batch_s: float = 120.0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the teacher's language probabilities of all clips beside the store.

    `teacher.npy` is `(clips, languages) float16` in the order of the store's table,
    `teacher.json` the languages. A clip is heard for its first `longest_s` seconds.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = WhisperForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    model.to(device)
    tokens: dict[str, int] = GenerationConfig.from_pretrained(checkpoint).lang_to_id
    ids = torch.tensor(list(tokens.values()), device=device)
    model.eval()
    result = np.zeros((len(store.clips), len(ids)), np.float16)
    done = 0
    for rows, sounds in _batches(store, longest_s, batch_s):
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
            hidden = _encoded(model.model.encoder, log_mel(torch.from_numpy(sounds).to(device)))
            start = torch.full((len(rows), 1), model.config.decoder_start_token_id, device=device)
            last = model.model.decoder(
                input_ids=start, encoder_hidden_states=hidden
            ).last_hidden_state[:, 0]
            scores = (last @ model.proj_out.weight[ids].T).float()
        result[rows] = scores.softmax(dim=-1).cpu().numpy()
        done += len(rows)
        if progress is not None:
            progress(done, len(store.clips))
    np.save(store.directory / FILE, result)
    (store.directory / LANGUAGES).write_text(json.dumps([token.strip("<|>") for token in tokens]))


def teachings(directory: Path, clips: int) -> npt.NDArray[np.float16]:
    """Read what `ask_teacher` wrote: `(clips, languages)`.

    Raises:
        ConfigError: nothing was written, or for other clips.

    """
    path = directory / FILE
    if not path.is_file():
        raise ConfigError(f"{path}: the teacher was not asked; run `langidd-train teach` first")
    found: npt.NDArray[np.float16] = np.load(path)
    if len(found) != clips:
        raise ConfigError(f"{path}: {len(found)} answers for {clips} clips; `teach` again")
    return found


def blended(
    weights: dict[str, torch.Tensor],
    taught: torch.nn.Linear,
    labels: Sequence[str],
    languages: Sequence[str],
    share: float,
) -> dict[str, torch.Tensor]:
    """Add to the classifier `share` of what the head that imitates the teacher says.

    Both heads are linear in the same pooled features, so their sum is one stock
    classifier. A class gets the teacher's score of its own language, less the mean of
    all; one that the teacher does not know gets the mean score of its relatives. The
    teacher's judgement rests on no corpus of ours: it finds Russian in recordings like
    those that we have in other languages only.
    """
    result = dict(weights)
    rows = torch.zeros(len(labels), len(languages), device=taught.weight.device)
    for row, label in enumerate(labels):
        alike = [name for name in RELATIVES.get(label, (label,)) if name in languages]
        for name in alike:
            rows[row, list(languages).index(name)] = 1 / len(alike)
        if alike:
            rows[row] -= 1 / len(languages)
    result["classifier.weight"] = weights["classifier.weight"] + share * rows @ taught.weight
    result["classifier.bias"] = weights["classifier.bias"] + share * rows @ taught.bias
    return result


def _batches(
    store: Store, longest_s: int, batch_s: float
) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
    """Clips of about one length together, rounded up to half seconds with silence."""
    half = SAMPLE_RATE // 2
    lengths = [-(-min(clip.samples, longest_s * SAMPLE_RATE) // half) for clip in store.clips]
    padding = int(PADDING_S * SAMPLE_RATE)
    for length in sorted(set(lengths)):
        rows = [row for row, found in enumerate(lengths) if found == length]
        size = max(1, int(batch_s * SAMPLE_RATE / (length * half + padding)))
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            sounds = np.zeros((len(chosen), length * half + padding), np.float32)
            for sound, row in zip(sounds, chosen, strict=True):
                samples = store.samples(store.clips[row])[: length * half]
                sound[: len(samples)] = samples
            yield chosen, sounds


def _encoded(encoder: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    hidden = torch.nn.functional.gelu(encoder.conv1(features))  # type: ignore[operator]
    hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)  # type: ignore[operator]
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]  # type: ignore[index, union-attr]
    for layer in encoder.layers:  # type: ignore[union-attr]
        hidden = layer(hidden, None)
    return encoder.layer_norm(hidden)  # type: ignore[operator, no-any-return]
