"""`evaluate`: what a model answers, on each split, at each length, under each condition.

It only scores and keeps: the scores go into one table (`observations`), the figures
are made from it (`figures`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from langidd.errors import LangiddError
from langidd.model.whisper.checkpoint import open_checkpoint
from langidd.model.whisper.openvino_engine import load_engine
from langidd.types import Calibration
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.baseline import Baseline
from langidd_training.evaluation.observations import (
    CLEAN,
    Observations,
    concatenate,
    load_observations,
    observe,
)
from langidd_training.evaluation.passages import join_short, read_passages
from langidd_training.evaluation.scoring import Scorer, known_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from langidd_training.evaluation.conditions import Condition
    from langidd_training.evaluation.passages import Passage

    Score = Callable[[Sequence[Passage], float], npt.NDArray[np.float32]]

CUTS_S: Final = (1.0, 2.0, 3.0, 5.0)
CONDITION_CUT_S: Final = 3.0
"""At which the conditions are measured."""
SCORES: Final = "scores.npz"
BASELINE_SCORES: Final = "baseline.npz"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        model: A bundled name, a directory, a hub name.
        roots: Directories of corpora, or manifests.
        splits: Their tables (`dev`, `foreign`).
        languages: The targets.
        cuts_s: Seconds of speech.
        conditions: What else is done to the speech, at `CONDITION_CUT_S`.
        baseline: A whole Whisper, for the row beside the model's; None: no such row.
        cache: Where the scores of the model and of the baseline are kept.
        limit: At most so many clips a locale.
        context: Other than the checkpoint's own.
        threads: For the CPU; 0 leaves it to OpenVINO.

    """

    model: str
    roots: tuple[Path, ...]
    splits: tuple[str, ...] = ("dev",)
    languages: tuple[str, ...] = ("uz", "ru", "en")
    cuts_s: tuple[float, ...] = CUTS_S
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    baseline: str | None = None
    cache: Path | None = None
    limit: int | None = None
    context: Literal["auto", "padded", "trimmed"] = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one model, and what one must know to read them.

    Attributes:
        model: Its name.
        context: In which it ran.
        calibration: What it says of its scores.
        observations: The scores.
        dropped: Clips that were left out, by split and reason.
        baseline: The same of the baseline, where there is one.

    """

    model: str
    context: str
    calibration: Calibration
    observations: Observations
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    baseline: Evaluation | None = None


def cut_name(seconds: float) -> str:
    """Return a length as tables call it: `3` for 3 s."""
    return f"{seconds:g}"


def evaluate(plan: Plan, say: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Score all that is planned.

    Args:
        plan: What to measure.
        say: Is given lines of progress.

    Raises:
        LangiddError: The model or the data cannot be used.

    """
    engine = load_engine(plan.model, context=plan.context, threads=plan.threads)
    scorer = Scorer(engine, plan.cache)
    targets = known_targets(scorer.labels, plan.languages)
    say(f"{plan.model}: {len(scorer.labels)} labels, {engine.context} context")
    passages, dropped = {}, {}
    for split in plan.splits:
        decoded = read_passages(plan.roots, targets, split=split, limit=plan.limit)
        passages[split], dropped[split] = decoded.passages, decoded.dropped
        say(f"{split}: {len(decoded.passages)} clips; left out: {decoded.dropped or 'none'}")
    baseline = None
    if plan.baseline is not None:
        baseline = _baseline(plan, plan.baseline, targets, passages, say)
    rows = _observe(
        plan, passages, lambda some, _: scorer.logits(some), scorer.labels, targets, say
    )
    return Evaluation(
        plan.model, engine.context, scorer.engine.calibration, rows, dropped, baseline
    )


def _baseline(
    plan: Plan,
    checkpoint: str,
    targets: tuple[str, ...],
    passages: Mapping[str, Sequence[Passage]],
    say: Callable[[str], None],
) -> Evaluation:
    say(f"baseline: {checkpoint}, a regression on its language tokens")
    engine = load_engine(checkpoint, context="trimmed", threads=plan.threads)
    baseline = Baseline(Scorer(engine, plan.cache), plan.roots, targets)
    rows = _observe(plan, passages, baseline.logits, baseline.labels, targets, say)
    return Evaluation(checkpoint, engine.context, baseline.calibration, rows)


def _observe(  # noqa: PLR0917 - each is used
    plan: Plan,
    passages: Mapping[str, Sequence[Passage]],
    score: Score,
    labels: Sequence[str],
    targets: Sequence[str],
    say: Callable[[str], None],
) -> Observations:
    parts = []
    for split, own in passages.items():
        for seconds in plan.cuts_s:
            joined = join_short(own, seconds)
            tried: dict[str, Sequence[Passage]] = {CLEAN: joined}
            if seconds == CONDITION_CUT_S:
                known = [passage for passage in joined if passage.language != OTHER]
                tried |= {
                    name: [passage.with_samples(change(passage.samples)) for passage in known]
                    for name, change in plan.conditions.items()
                }
            for condition, some in tried.items():
                say(f"{split}, {seconds:g} s, {condition}: {len(some)} passages")
                parts.append(
                    observe(
                        *(some, score(some, seconds), labels, targets),
                        split=split,
                        cut=cut_name(seconds),
                        condition=condition,
                    )
                )
    return concatenate(parts)


def reread(model: str, directory: Path) -> Evaluation:
    """Take the scores that an evaluation kept, and the calibration from the checkpoint.

    For after a calibration: it moves the kept scores along, so that nothing is scored again.

    Args:
        model: The checkpoint that was evaluated.
        directory: What `evaluate --out` wrote.

    Raises:
        LangiddError: There are no scores, or they are another model's.

    """
    table = load_observations(directory / SCORES)
    found = open_checkpoint(model)
    if found.calibration.labels != table.labels:
        raise LangiddError(f"{directory / SCORES} is of a model with other labels than {model}")
    before: dict[str, Any] = {}
    if (directory / "evaluation.json").is_file():
        before = json.loads((directory / "evaluation.json").read_text(encoding="utf-8"))
    baseline = None
    if (directory / BASELINE_SCORES).is_file():
        rows = load_observations(directory / BASELINE_SCORES)
        name = before.get("baseline", {}).get("model", "baseline")
        baseline = Evaluation(name, "trimmed", Calibration(rows.labels, unknown=(OTHER,)), rows)
    return Evaluation(
        model,
        before.get("context", found.context),
        found.calibration,
        table,
        before.get("left_out", {}),
        baseline,
    )
