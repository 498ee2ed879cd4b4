"""`evaluate`: what a model answers, at each length, under each condition.

It only asks and keeps: the answers go into one table (`observations`), the figures
are made from it (`figures`).
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.calibrate import own_context
from langidd_training.evaluation.conditions import CONDITIONS, FOREIGN_CODECS
from langidd_training.evaluation.listeners import known_targets, open_listener
from langidd_training.evaluation.observations import (
    WHOLE,
    Observations,
    Setting,
    concatenate,
    load_observations,
)
from langidd_training.evaluation.passages import cut_all, is_known, join_short, read_passages
from langidd_training.synthesis.synthetic import (
    EVALUATION_VARIANTS,
    evaluation_utterances,
    parallel_sentences,
    write_corpus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from langidd.types import Calibration
    from langidd_training.evaluation.listeners import Context, Kind, Listener
    from langidd_training.evaluation.passages import Passage

    Sound = npt.NDArray[np.float32]

CUTS_S: Final = (1.0, 2.0, 3.0, 5.0)
CONDITION_CUT_S: Final = 3.0
BATCH_S: Final = 64.0
"""Seconds of speech in a batch: 16 clips of 4 s, two of 30 s."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask. `limit`: clips a locale. `both_contexts`: also the one it is not for."""

    model: str
    roots: tuple[Path, ...]
    split: str = "dev"
    languages: tuple[str, ...] = ("uz", "ru", "en")
    limit: int | None = None
    context: Context | None = None
    kind: Kind = "auto"
    threads: int = 0
    cuts_s: tuple[float, ...] = CUTS_S
    clips_as_they_are: bool = True
    conditions: bool = True
    both_contexts: bool = True
    checks: bool = True


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answers, and what one must know to read them."""

    model: str
    context: str
    calibration: Calibration
    observations: Observations
    dropped: dict[str, int]


def cut_name(seconds: float | None) -> str:
    """`3` for 3 s, `whole` for None."""
    return WHOLE if seconds is None else f"{seconds:g}"


class Interview:
    """Asks one listener in one context, never the same samples twice."""

    def __init__(self, listener: Listener, targets: tuple[str, ...]) -> None:
        self._listener = listener
        self._targets = targets
        self._known: dict[bytes, npt.NDArray[np.float32]] = {}

    def ask(
        self, passages: Sequence[Passage], setting: Setting, say: Callable[[str], None]
    ) -> Observations:
        """Score the passages; `setting` names the rows."""
        keys = [_key(passage.samples) for passage in passages]
        fresh = {
            key: passage.samples
            for key, passage in zip(keys, passages, strict=True)
            if key not in self._known
        }
        say(
            f"{setting.material} {setting.cut} {setting.condition} {setting.context}: "
            f"{len(passages)} passages, {len(fresh)} to hear"
        )
        # Passages of like length share a batch, so that little of it is filled up.
        order = sorted(fresh, key=lambda key: len(fresh[key]))
        while order:
            longest = len(fresh[order[-1]]) / SAMPLE_RATE
            length = 30.0 if self._listener.context == "padded" else max(longest, 0.5)
            count = max(1, int(BATCH_S / length))
            batch, order = order[-count:], order[:-count]
            for key, logits in zip(
                batch, self._listener.logits([fresh[key] for key in batch]), strict=True
            ):
                self._known[key] = logits
        rows = len(passages)

        def column(values: Sequence[str]) -> npt.NDArray[np.str_]:
            return np.array(values, dtype=np.str_).reshape(rows)

        return Observations(
            labels=self._listener.labels,
            targets=self._targets,
            logits=np.array([self._known[key] for key in keys], np.float32).reshape(
                rows, len(self._listener.labels)
            ),
            duration_s=np.array([passage.duration_s for passage in passages], np.float64),
            language=column([passage.language for passage in passages]),
            locale=column([passage.locale for passage in passages]),
            corpus=column([passage.corpus for passage in passages]),
            speaker=column([passage.speaker for passage in passages]),
            name=column([passage.name for passage in passages]),
            material=column([setting.material] * rows),
            cut=column([setting.cut] * rows),
            condition=column([setting.condition] * rows),
            context=column([setting.context] * rows),
        )


def _key(samples: Sound) -> bytes:
    import hashlib

    return hashlib.blake2b(samples.tobytes(), digest_size=16).digest()


def evaluate(plan: Plan, say: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Ask everything that `plan` wants; `say` hears of the progress.

    Raises LangiddError where the model or the data cannot be used.
    """
    listener = open_listener(plan.model, plan.context, kind=plan.kind, threads=plan.threads)
    targets = known_targets(listener, plan.languages)
    say(f"{plan.model}: labels {', '.join(listener.labels[:8])}; {listener.context} context")
    listening = read_passages(plan.roots, targets, split=plan.split, limit=plan.limit)
    passages = listening.passages
    say(f"{len(passages)} clips with speech; left out: {listening.dropped or 'none'}")

    interview = Interview(listener, targets)
    context = listener.context
    parts: list[Observations] = []
    for seconds in (*plan.cuts_s, None) if plan.clips_as_they_are else plan.cuts_s:
        cut = cut_name(seconds)
        if plan.clips_as_they_are:
            setting = Setting("clips", cut, context=context)
            parts.append(interview.ask(cut_all(passages, seconds), setting, say))
        if seconds is not None:
            joined = join_short(passages, seconds)
            if joined:
                setting = Setting("joined", cut, context=context)
                parts.append(interview.ask(joined, setting, say))

    known = [passage for passage in passages if is_known(passage)]
    standard = cut_name(CONDITION_CUT_S)
    short = {
        "clips": cut_all(passages, CONDITION_CUT_S),
        "joined": join_short(passages, CONDITION_CUT_S),
    }
    if plan.conditions:
        for name, change in CONDITIONS.items():
            for material, heard in short.items() if name != "clean" else ():
                changed = [
                    passage.with_samples(change(passage.samples))
                    for passage in heard
                    if is_known(passage)
                ]
                setting = Setting(material, standard, name, context)
                parts.append(interview.ask(changed, setting, say))
    if plan.checks:
        parts += _foreign_codecs(interview, known, context, say)
        parts.append(_espeak(interview, targets, context, say))
    if plan.both_contexts:
        parts += _other_context(plan, listener, targets, short, say)
    return Evaluation(
        plan.model, context, listener.calibration, concatenate(parts), listening.dropped
    )


def reread(model: str, scores: Path) -> Evaluation:
    """Take the answers from a table that was kept, the calibration from the checkpoint.

    For after a calibration: logits do not change with it, so nothing is heard again. What
    was left out is taken from the `evaluation.json` beside the table.
    """
    from langidd.model.whisper.torch_checkpoint import open_checkpoint

    table = load_observations(scores)
    calibration = open_checkpoint(model).calibration
    if calibration.labels != table.labels:
        raise LangiddError(f"{scores} is of a model with other labels than {model}")
    beside = scores.with_name("evaluation.json")
    before = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    return Evaluation(model, own_context(table), calibration, table, before.get("left_out", {}))


def _foreign_codecs(
    interview: Interview, known: Sequence[Passage], context: str, say: Callable[[str], None]
) -> list[Observations]:
    """A language's clips through a codec that came with another language."""
    answers = []
    for language, codecs in FOREIGN_CODECS.items():
        own = [passage for passage in known if passage.language == language]
        for name, change in codecs.items() if own else ():
            changed = [
                passage.with_samples(change(passage.samples))
                for passage in cut_all(own, CONDITION_CUT_S)
            ]
            setting = Setting("clips", cut_name(CONDITION_CUT_S), f"foreign-{name}", context)
            answers.append(interview.ask(changed, setting, say))
    return answers


def _espeak(
    interview: Interview, targets: tuple[str, ...], context: str, say: Callable[[str], None]
) -> Observations:
    """The same sentences in every language by one voice."""
    with tempfile.TemporaryDirectory(prefix="langidd-espeak-") as directory:
        write_corpus(
            evaluation_utterances(parallel_sentences(), EVALUATION_VARIANTS),
            Path(directory),
            split="dev",
            targets=targets,
        )
        spoken = read_passages([Path(directory)], targets, split="dev").passages
    return interview.ask(spoken, Setting("espeak", WHOLE, context=context), say)


def _other_context(
    plan: Plan,
    listener: Listener,
    targets: tuple[str, ...],
    short: dict[str, list[Passage]],
    say: Callable[[str], None],
) -> list[Observations]:
    """The languages at 3 s in the context that the model does not run in."""
    from langidd.model.whisper.torch_engine import Classifier

    if not isinstance(listener, Classifier):
        return []  # language tokens know no other
    other: Context = "trimmed" if listener.context == "padded" else "padded"
    interview = Interview(open_listener(plan.model, other, threads=plan.threads), targets)
    return [
        interview.ask(
            [passage for passage in heard if passage.language != OTHER],
            Setting(material, cut_name(CONDITION_CUT_S), context=other),
            say,
        )
        for material, heard in short.items()
    ]
