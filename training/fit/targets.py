"""What the model should answer to a passage: its label, and what a whole Whisper says of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import ConfigError
from langidd_training.data.codes import row_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.store import StoredClip

ANSWERS: Final = "teacher.npy"
ANSWER_LANGUAGES: Final = "teacher.json"


def read_answers(
    directory: Path, passages: int, languages: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Read what `teach` wrote beside the prepared data.

    Args:
        directory: Of the prepared data.
        passages: How many there must be.
        languages: The model's, in the order of its logits.

    Returns:
        Probabilities `(passages, languages)`; a row of NaN where the teacher was not asked.

    Raises:
        ConfigError: Nothing was written, or for other passages.

    """
    path = directory / ANSWERS
    if not path.is_file():
        raise ConfigError(f"{path}: the teacher was not asked; run `langidd-train teach` first")
    found = np.load(path, allow_pickle=False).astype(np.float32)
    if len(found) != passages:
        raise ConfigError(f"{path}: {len(found)} answers for {passages} passages; `teach` again")
    columns = json.loads((directory / ANSWER_LANGUAGES).read_text(encoding="utf-8"))
    answers = np.zeros((passages, len(languages)), np.float32)
    for column, language in enumerate(columns):
        if language in languages:
            answers[:, list(languages).index(language)] = found[:, column]
    return answers


def make_targets(
    passages: Sequence[StoredClip],
    languages: Sequence[str],
    answers: npt.NDArray[np.float32] | None,
    *,
    smoothing: float,
    teacher_share: float,
    not_taught: Sequence[str],
) -> npt.NDArray[np.float32]:
    """Make the distribution that each passage's crops are trained towards.

    A language without a token (Kyrgyz, Uyghur) is the teacher's answer without `not_taught`.

    Args:
        passages: Of the training split.
        languages: The model's, in the order of its logits.
        answers: The teacher's, `(passages, languages)`.
        smoothing: The share of a label that is spread over all languages.
        teacher_share: How much of a target is the teacher's answer (0: the label alone).
        not_taught: Languages that the teacher does not know well: there the label is all.

    Returns:
        `(passages, languages) float32`; rows sum to 1.

    Raises:
        ConfigError: The teacher's answer is needed and is not there.

    """
    untaught = [languages.index(code) for code in not_taught if code in languages]
    targets = np.full((len(passages), len(languages)), smoothing / len(languages), np.float32)
    for number, passage in enumerate(passages):
        row = row_of(passage.locale, languages)
        share = 1.0 if row is None else 0.0 if row in untaught else teacher_share
        if row is not None:
            targets[number, row] += 1 - smoothing
        if not share:
            continue
        if answers is None or not np.isfinite(answers[number]).all():
            raise ConfigError(
                f"the teacher's answer to {passage.locale} ({passage.corpus}) is needed: run "
                "`langidd-train teach`" + (" --every-clip" if row is not None else "")
            )
        answer = answers[number].copy()
        answer[untaught] = 0
        targets[number] *= 1 - share
        targets[number] += share * answer / max(float(answer.sum()), 1e-9)
    return targets
