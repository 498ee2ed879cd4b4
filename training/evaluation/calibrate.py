"""`calibrate`: what makes a checkpoint's confidence mean something.

One softmax temperature for each length of speech (Guo et al., "On Calibration of Modern
Neural Networks", 2017), fitted by likelihood on clips of the known languages; another
one, on clips of others too, for the question whether it is one of them at all; and the
probability below which a window names no language. All go into the checkpoint's
`config.json` under `langidd`. One temperature for both questions made the names too
timid, or the rejection too bold: a model is surer of which than of whether.

A temperature looks better on the clips it was fitted on. So the error that is reported
is cross-fitted: temperatures from one half of the speakers, error on the other half.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import optimize
from scipy.special import log_softmax

from langidd.errors import ModelError
from langidd.types import Calibration
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.metrics import Reliability, calibrated, reliability
from langidd_training.evaluation.observations import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.types import Temperatures
    from langidd_training.evaluation.observations import Observations

LIMITS: Final = (0.4, 8.0)
"""No temperature outside: a fit that wants one has too little to go by (where all clips
are right the most likely temperature is nought)."""
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Fit:
    """A calibration with what it does to the clips it was, and was not, fitted on.

    `error_before` is with no temperature at all, `error` after cross-fitting.
    `accepted` and `rejected` are at the threshold: the share of known languages that
    are named (rightly or not), and of others that are not.
    """

    calibration: Calibration
    error_before: float
    error: float
    accepted: float
    rejected: float


def fit(observations: Observations, unknown: Sequence[str]) -> Fit:
    """Fit temperatures and threshold on a model's answers to clips cut to lengths.

    `unknown`: the labels that stand for no language. Uses the clean answers in the
    model's own context. Raises ModelError where there are none.
    """
    heard = training_rows(observations)
    plain = Calibration(labels=heard.labels, unknown=tuple(unknown))
    calibration = with_temperatures(heard, unknown)
    threshold, accepted, rejected = best_threshold(heard, calibration)
    return Fit(
        replace(calibration, und_threshold=threshold),
        reliability_of(heard, plain).error,
        cross_fitted(heard).error,
        accepted,
        rejected,
    )


def training_rows(observations: Observations) -> Observations:
    """The rows that say how sure a model may be: clean clips at every cut."""
    own = own_context(observations)
    # Joined passages are as long as they say; clips alone where a test has no others.
    material = "joined" if np.any(observations.material == "joined") else "clips"
    rows = (
        (observations.material == material)
        & (observations.condition == "clean")
        & (observations.context == own)
        & (observations.cut != WHOLE)
    )
    if not rows.any():
        raise ModelError("no clean clips among the scores: nothing to calibrate with")
    return observations.where(rows)


def own_context(observations: Observations) -> str:
    """The context in which the most was asked: the model's own."""
    names, counts = np.unique(observations.context, return_counts=True)
    return str(names[np.argmax(counts)])


def truth_index(observations: Observations) -> npt.NDArray[np.int64]:
    """Each row's true label as an index; -1 where the model has no label for it."""
    index = {label: number for number, label in enumerate(observations.labels)}
    return np.array([index.get(str(language), -1) for language in observations.language])


def weights(observations: Observations) -> npt.NDArray[np.float64]:
    """Rows weigh so that each language counts the same, `other` as one of them."""
    return equal_weights(observations.language)


def equal_weights(language: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    """The same of the languages alone; the mean weight is 1."""
    weight = np.zeros(len(language))
    for name in np.unique(language):
        rows = language == name
        weight[rows] = 1 / rows.sum()
    return np.asarray(weight / weight.mean())


def with_temperatures(heard: Observations, unknown: Sequence[str]) -> Calibration:
    """Fit the temperatures among the languages, then those of the unknown, where there is any."""
    calibration = Calibration(
        labels=heard.labels, unknown=tuple(unknown), temperatures=temperatures(heard, unknown)
    )
    if not (unknown and np.any(heard.language == OTHER)):
        return calibration
    found = _of_each_cut(heard, lambda rows: fit_unknown_temperature(rows, calibration))
    return replace(calibration, unknown_temperatures=found)


def temperatures(heard: Observations, unknown: Sequence[str] = ()) -> Temperatures:
    """One temperature for each cut, fitted on the clips of the languages alone."""
    languages = [label for label in heard.labels if label not in unknown]
    return _of_each_cut(
        heard.where(np.isin(heard.language, languages)),
        lambda rows: fit_temperature(rows, languages),
    )


def _of_each_cut(heard: Observations, fitted: Callable[[Observations], float]) -> Temperatures:
    found = []
    for cut in sorted(set(map(str, heard.cut)), key=float):
        rows = heard.where(heard.cut == cut)
        # What is shorter than the cut belongs to a shorter cut, where it is too.
        full = rows.where(rows.duration_s >= 0.9 * float(cut))
        if len(full) >= 8 * len(heard.labels):
            found.append((float(cut), fitted(full)))
    if not found:
        found.append((1.0, fitted(heard)))
    return tuple((seconds, round(value, 4)) for seconds, value in found)


def fit_temperature(rows: Observations, languages: Sequence[str]) -> float:
    """Find the temperature of the greatest likelihood, languages weighing the same."""
    if not len(rows):
        return 1.0
    columns = [rows.labels.index(language) for language in languages]
    truth = np.array([list(languages).index(str(name)) for name in rows.language])
    logits, weight = rows.logits[:, columns].astype(np.float64), weights(rows)

    def loss(logarithm: float) -> float:
        likelihood = log_softmax(logits / np.exp(logarithm), axis=1)[np.arange(len(truth)), truth]
        return float(-np.average(likelihood, weights=weight))

    low, high = np.log(LIMITS)
    return float(np.exp(optimize.minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_unknown_temperature(rows: Observations, calibration: Calibration) -> float:
    """Find the most likely temperature of the question whether it is a language at all."""
    unknown = rows.language == OTHER
    if unknown.all() or not unknown.any():
        return 1.0
    weight = weights(rows)
    columns = np.isin(calibration.labels, calibration.unknown)

    def loss(logarithm: float) -> float:
        points = ((1.0, float(np.exp(logarithm))),)
        trial = replace(calibration, unknown_temperatures=points)
        chance = calibrated(rows.logits, rows.duration_s, trial)[:, columns].sum(axis=1)
        right = np.where(unknown, chance, 1 - chance)
        return float(-np.average(np.log(np.maximum(right, 1e-12)), weights=weight))

    low, high = np.log(LIMITS)
    return float(np.exp(optimize.minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def reliability_of(rows: Observations, calibration: Calibration) -> Reliability:
    """Confidence in the best label against how often it is right, languages weighing the same."""
    chance = calibrated(rows.logits, rows.duration_s, calibration)
    right = chance.argmax(axis=1) == truth_index(rows)
    return reliability(chance.max(axis=1), right, weights(rows))


def halves(rows: Observations) -> npt.NDArray[np.bool_]:
    """Split the rows in two by speaker, so that nobody is in both halves."""
    names = np.unique(rows.speaker)
    # By a hash, so that it does not move when a clip is added; alternating within that order.
    ordered = sorted(names, key=lambda name: zlib.crc32(str(name).encode()))
    return np.isin(rows.speaker, ordered[::2])


def cross_fitted(rows: Observations, *, among_targets: bool = False) -> Reliability:
    """Reliability of temperatures on speakers that they were not fitted on.

    Of the best of all labels on every clip; `among_targets`: of the best target language
    on clips of these, the other labels' probability shared out among them (what a source
    hears that names its candidates). Languages weigh the same, as they did in the fit.
    """
    first = halves(rows)
    names = rows.targets if among_targets else rows.labels
    columns = [rows.labels.index(name) for name in names]
    confidence: list[npt.NDArray[np.float64]] = []
    right: list[npt.NDArray[np.bool_]] = []
    languages: list[npt.NDArray[np.str_]] = []
    for fitted_on, measured_on in ((first, ~first), (~first, first)):
        if not fitted_on.any() or not measured_on.any():
            continue
        unknown = [label for label in rows.labels if label not in rows.targets]
        calibration = with_temperatures(rows.where(fitted_on), unknown)
        measured = rows.where(measured_on)
        if among_targets:
            measured = measured.where(np.isin(measured.language, names))
        chance = calibrated(measured.logits, measured.duration_s, calibration)[:, columns]
        confidence.append(chance.max(axis=1) / chance.sum(axis=1))
        right.append(np.array(names)[chance.argmax(axis=1)] == measured.language)
        languages.append(measured.language)
    return reliability(
        np.concatenate(confidence), np.concatenate(right), equal_weights(np.concatenate(languages))
    )


def best_language(
    rows: Observations, calibration: Calibration
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Each row's best target language and its calibrated probability."""
    columns = [rows.labels.index(language) for language in rows.targets]
    chance = calibrated(rows.logits, rows.duration_s, calibration)[:, columns]
    return np.array(rows.targets)[chance.argmax(axis=1)], chance.max(axis=1)


def best_threshold(rows: Observations, calibration: Calibration) -> tuple[float, float, float]:
    """Find the threshold with the most of (known accepted + unknown rejected) / 2.

    Known languages weigh the same. Gives it with both shares; 0.5 where there is no
    unknown language to reject.
    """
    best, sure = best_language(rows, calibration)
    unknown = rows.language == OTHER
    candidates = np.round(np.arange(0.30, 0.96, 0.01), 2)
    weight = weights(rows)
    good = ~unknown & (best == rows.language)
    if not unknown.any() or unknown.all():
        return 0.5, float(np.mean(sure[~unknown] >= 0.5)) if not unknown.all() else 0.0, 0.0

    def shares(threshold: float) -> tuple[float, float]:
        accepted = np.average((sure >= threshold)[good], weights=weight[good])
        return float(accepted), float(np.mean(sure[unknown] < threshold))

    scores = [sum(shares(value)) for value in candidates]
    # The middle of the plateau: the best on these clips is the edge of a stair.
    near = candidates[np.array(scores) >= max(scores) - 0.002]
    threshold = round(float(np.median(near)), 2)
    return threshold, *shares(threshold)


def write_calibration(
    directory: Path, calibration: Calibration, context: str | None = None
) -> None:
    """Put it into the checkpoint's `config.json`, under `langidd`; the rest stays.

    `context` None leaves what is there, `padded` where nothing is.
    """
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: no checkpoint to calibrate ({error})") from error
    block = dict(config.get("langidd") or {})
    block["format"] = FORMAT
    block["context"] = context or block.get("context", "padded")
    block["unknown_labels"] = list(calibration.unknown)
    block["temperature"] = [list(point) for point in calibration.temperatures]
    block["unknown_temperature"] = [list(point) for point in calibration.unknown_temperatures]
    block["und_threshold"] = calibration.und_threshold
    config["langidd"] = block
    partial = path.with_suffix(".json.part")
    partial.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(path)
