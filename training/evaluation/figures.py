"""The figures of an evaluation, as a plain dictionary that becomes `evaluation.json`.

Two answers are counted. `languages`: the best among the target languages, which is what
a source with a list of candidates hears; it is the headline. `strict`: the best of all
labels, so that a Russian word taken for `other` is wrong.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.bars import ACCURACY_BARS, STANDARD_CUT, bars
from langidd_training.evaluation.calibrate import (
    best_language,
    cross_fitted,
    halves,
    reliability_of,
    training_rows,
    truth_index,
)
from langidd_training.evaluation.conditions import CONDITIONS
from langidd_training.evaluation.metrics import (
    TURKIC,
    auroc,
    bootstrap_by_speaker,
    confusion,
    macro_accuracy,
    macro_f1,
    recalls,
)
from langidd_training.evaluation.observations import WHOLE, Observations, Setting
from langidd_training.fit.balance import balancing

if TYPE_CHECKING:
    import numpy.typing as npt

    from langidd.types import Calibration
    from langidd_training.evaluation.evaluate import Evaluation

    Strings = npt.NDArray[np.str_]

MATERIALS: Final = ("joined", "clips")
BALANCE_CUTS: Final = ("1", "2", "3")


def figures(evaluation: Evaluation, *, split: str = "dev") -> dict[str, Any]:
    """Everything that can be said of the answers; see the module for the two accuracies."""
    table, calibration = evaluation.observations, evaluation.calibration
    result: dict[str, Any] = {
        "format": 1,
        "model": evaluation.model,
        "context": evaluation.context,
        "split": split,
        "labels": list(table.labels),
        "languages": list(table.targets),
        "temperature": [list(point) for point in calibration.temperatures],
        "unknown_temperature": [list(point) for point in calibration.unknown_temperatures],
        "und_threshold": calibration.und_threshold,
        "left_out": evaluation.dropped,
        "lengths": {},
        "conditions": {},
        "contexts": {},
        "foreign_codecs": {},
    }
    for material in MATERIALS:
        cuts = (*[cut for cut in ACCURACY_BARS if cut != WHOLE], WHOLE)
        found = {
            cut: at_setting(
                table.at(Setting(material, cut, context=evaluation.context)), calibration
            )
            for cut in cuts
        }
        result["lengths"][material] = {cut: value for cut, value in found.items() if value}
        result["conditions"][material] = _conditions(evaluation, material)
        result["contexts"][material] = _contexts(evaluation, material)
    standard = table.at(Setting("clips", STANDARD_CUT, context=evaluation.context))
    result["corpora"] = _corpora(standard, calibration)
    result["others"] = _others(standard, calibration)
    result["foreign_codecs"] = _foreign(evaluation)
    result["espeak"] = _espeak(table.where(table.material == "espeak"), calibration)
    calibration_rows = training_rows(table)
    result["calibration"] = {
        "error": reliability_of(calibration_rows, calibration).error,
        "cross_fitted": asdict(cross_fitted(calibration_rows)),
        "among_languages": asdict(cross_fitted(calibration_rows, among_targets=True)),
        "note": "all clean cuts of 1-5 s together; cross_fitted: temperatures from the other "
        "half of the speakers",
    }
    result["balance"] = balanced_elsewhere(table, evaluation.context)
    result["bars"] = bars(result, MATERIALS[0])
    return result


def answers(rows: Observations, calibration: Calibration) -> tuple[Strings, Strings]:
    """Give (best among the targets, best of all labels with non-targets as `other`)."""
    among, _ = best_language(rows, calibration)
    best = np.array(rows.labels)[rows.logits.argmax(axis=1)]
    return among, np.where(np.isin(best, rows.targets), best, OTHER)


def unknown_score(rows: Observations, calibration: Calibration) -> npt.NDArray[np.float64]:
    """How unlikely it is that a known language is spoken: 1 - the best one's probability."""
    _, sure = best_language(rows, calibration)
    return np.asarray(1.0 - sure)


def at_setting(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    """Every figure of one setting; empty where it was not asked or knows no language."""
    known = rows.where(rows.language != OTHER)
    if not len(known):
        return {}
    targets = list(rows.targets)
    among, strict = answers(known, calibration)
    everything = answers(rows, calibration)[1]
    score = unknown_score(rows, calibration)
    unknown = rows.language == OTHER
    turkic = ~unknown | np.isin(rows.locale, sorted(TURKIC))
    columns = [*targets, OTHER]
    named = score <= 1 - calibration.und_threshold
    return {
        "clips": {name: int(np.sum(rows.language == name)) for name in columns},
        "speakers": {name: len(np.unique(rows.speaker[rows.language == name])) for name in columns},
        "mean_s": round(float(known.duration_s.mean()), 2),
        "accuracy": macro_accuracy(known.language, among, targets),
        "interval": bootstrap_by_speaker(known.language, among, known.speaker, targets),
        "recall": recalls(known.language, among, targets),
        "strict_accuracy": macro_accuracy(known.language, strict, targets),
        "strict_interval": bootstrap_by_speaker(known.language, strict, known.speaker, targets),
        "strict_recall": recalls(known.language, strict, targets),
        "f1": macro_f1(known.language, among, targets),
        "open_f1": macro_f1(rows.language, everything, targets),
        "confusion": {
            "rows": columns,
            "columns": columns,
            "counts": confusion(rows.language, everything, columns, columns),
        },
        "ece": reliability_of(rows, calibration).error,
        "ece_known": reliability_of(known, calibration).error,
        "auroc": auroc(unknown, score),
        "auroc_turkic": auroc(unknown[turkic], score[turkic]),
        "named": float(np.mean(named[~unknown])),
        "rejected": float(np.mean(~named[unknown])) if unknown.any() else None,
    }


def balanced_elsewhere(table: Observations, context: str) -> dict[str, float]:
    """Accuracy by cut of joined passages, the classes balanced on other speakers.

    A checkpoint's biases may have been fitted on this very split. Here they are fitted
    again, on one half of the speakers, and measured on the other, both ways. Empty where
    a language is missing from a half.
    """
    cuts = {cut: table.at(Setting(MATERIALS[0], cut, context=context)) for cut in BALANCE_CUTS}
    cuts = {cut: rows.where(np.isin(rows.language, rows.labels)) for cut, rows in cuts.items()}
    shortest = cuts[BALANCE_CUTS[0]]
    one_half = np.unique(shortest.speaker[halves(shortest)])
    targets = shortest.targets
    columns = [shortest.labels.index(language) for language in targets]
    best = {cut: np.full(len(rows), "", object) for cut, rows in cuts.items()}
    for fitted_on_first in (True, False):
        fitted_on = {
            cut: np.isin(rows.speaker, one_half) == fitted_on_first for cut, rows in cuts.items()
        }
        if any(
            not set(targets) <= set(map(str, rows.language[fitted_on[cut]]))
            for cut, rows in cuts.items()
        ):
            return {}
        biases = balancing(
            [
                (rows.logits[fitted_on[cut]].astype(np.float64), truth_index(rows)[fitted_on[cut]])
                for cut, rows in cuts.items()
            ]
        )
        for cut, rows in cuts.items():
            scores = rows.logits[~fitted_on[cut]] + biases
            best[cut][~fitted_on[cut]] = np.array(targets)[scores[:, columns].argmax(axis=1)]
    result = {}
    for cut, rows in cuts.items():
        known = np.isin(rows.language, targets)
        result[cut] = macro_accuracy(rows.language[known], best[cut][known], targets)
    return result


def _conditions(evaluation: Evaluation, material: str) -> dict[str, Any]:
    found = {}
    for name in CONDITIONS:
        rows = evaluation.observations.at(Setting(material, STANDARD_CUT, name, evaluation.context))
        value = at_setting(rows.where(rows.language != OTHER), evaluation.calibration)
        if value:
            found[name] = {
                key: value[key]
                for key in (
                    *("clips", "accuracy", "interval", "recall"),
                    *("strict_accuracy", "strict_recall", "ece_known"),
                )
            }
    return found


def _contexts(evaluation: Evaluation, material: str) -> dict[str, Any]:
    """The same clips padded to 30 s and trimmed."""
    heard = {
        name: evaluation.observations.at(Setting(material, STANDARD_CUT, context=name))
        for name in ("trimmed", "padded")
    }
    heard = {name: rows.where(rows.language != OTHER) for name, rows in heard.items()}
    if not all(len(rows) for rows in heard.values()):
        return {}
    result: dict[str, Any] = {}
    for name, rows in heard.items():
        among, strict = answers(rows, evaluation.calibration)
        result[name] = {
            "accuracy": macro_accuracy(rows.language, among, rows.targets),
            "strict_accuracy": macro_accuracy(rows.language, strict, rows.targets),
        }
    result["difference"] = abs(result["trimmed"]["accuracy"] - result["padded"]["accuracy"])
    result["strict_difference"] = abs(
        result["trimmed"]["strict_accuracy"] - result["padded"]["strict_accuracy"]
    )
    pair = [answers(rows, evaluation.calibration)[1] for rows in heard.values()]
    result["same_answer"] = float(np.mean(pair[0] == pair[1]))
    return result


def _corpora(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    among, strict = answers(rows, calibration)
    found = {}
    for language in (*rows.targets, OTHER):
        for corpus in np.unique(rows.corpus[rows.language == language]):
            here = (rows.language == language) & (rows.corpus == corpus)
            found[f"{language}/{corpus}"] = {
                "clips": int(here.sum()),
                "mean_s": round(float(rows.duration_s[here].mean()), 2),
                "accuracy": None if language == OTHER else float(np.mean(among[here] == language)),
                "strict_accuracy": float(np.mean(strict[here] == language)),
            }
    return found


def _others(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    """Each unknown locale: what it is called, and how well it is told apart."""
    strict = answers(rows, calibration)[1]
    score = unknown_score(rows, calibration)
    known = rows.language != OTHER
    found = {}
    for locale in np.unique(rows.locale[~known]):
        here = ~known & (rows.locale == locale)
        against = known | here
        found[str(locale)] = {
            "clips": int(here.sum()),
            "called": {name: int(np.sum(strict[here] == name)) for name in (*rows.targets, OTHER)},
            "rejected": float(np.mean(score[here] > 1 - calibration.und_threshold)),
            "auroc": auroc(~known[against], score[against]),
        }
    return found


def _foreign(evaluation: Evaluation) -> dict[str, Any]:
    """A language's clips through another's codec, beside the same clips as they are."""
    table = evaluation.observations
    found: dict[str, Any] = {}
    for condition in sorted(set(map(str, table.condition))):
        if not condition.startswith("foreign-"):
            continue
        for language in table.targets:
            same = {
                name: table.at(Setting("clips", STANDARD_CUT, name, evaluation.context))
                for name in ("clean", condition)
            }
            rows = {name: heard.where(heard.language == language) for name, heard in same.items()}
            if not len(rows[condition]):
                continue
            values = {}
            for name, heard in rows.items():
                among, strict = answers(heard, evaluation.calibration)
                values["clean" if name == "clean" else "through"] = {
                    "recall": float(np.mean(among == language)),
                    "strict_recall": float(np.mean(strict == language)),
                }
            found[f"{language} through {condition.removeprefix('foreign-')}"] = {
                "clips": len(rows[condition]),
                **values,
            }
    return found


def _espeak(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    """One voice and one channel for all: what the synthetic sentences are called."""
    if not len(rows):
        return {}
    among, strict = answers(rows, calibration)
    score = unknown_score(rows, calibration)
    unknown = rows.language == OTHER
    columns = [*rows.targets, OTHER]
    locales = [*rows.targets, *sorted(set(map(str, rows.locale[unknown])))]
    return {
        "clips": len(rows),
        "accuracy": macro_accuracy(rows.language[~unknown], among[~unknown], rows.targets),
        "strict_accuracy": macro_accuracy(rows.language[~unknown], strict[~unknown], rows.targets),
        "recall": recalls(rows.language[~unknown], among[~unknown], rows.targets),
        "called": {
            locale: {name: int(np.sum(strict[rows.locale == locale] == name)) for name in columns}
            for locale in locales
        },
        "auroc": auroc(unknown, score),
    }
