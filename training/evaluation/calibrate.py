"""`calibrate`: what makes a checkpoint's confidence mean something.

Two things are fitted together by likelihood, every language weighing the same, within it every
corpus (by the root of its voices), within that every voice:

- a bias for each target language (logit adjustment: Menon et al., "Long-tail learning via logit
  adjustment", 2021), so that a language of few training voices is not called another;
- one softmax temperature for each length of speech (Guo et al., "On Calibration of Modern
  Neural Networks", 2017).

Then the probability is chosen below which a window names no language. Biases go into the
weights, the rest into `config.json` under `langidd`. A fit looks better on the speakers that it
was fitted on: the error that is reported is cross-fitted over halves of the speakers.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import optimize
from scipy.special import log_softmax, logsumexp

from langidd.errors import ModelError
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.metrics import Reliability, calibrated, reliability
from langidd_training.evaluation.observations import CLEAN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from langidd.types import Calibration
    from langidd_training.evaluation.observations import Observations

BIAS_LIMIT: Final = 5.0
BIAS_PENALTY: Final = 1e-3
LOG_TEMPERATURE_LIMIT: Final = 1.5
"""No fit goes beyond: one that wants to has too little to go by."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A calibration, and what it does to speakers that it was, and was not, fitted on.

    Attributes:
        biases: Nats that are added to the logits of the targets.
        calibration: Temperatures and threshold.
        error_before: The calibration error as the checkpoint was.
        error: The same after cross-fitting.
        accepted: Of the target languages, the share of right answers that are named.
        rejected: Of other languages, the share that is not.

    """

    biases: Mapping[str, float]
    calibration: Calibration
    error_before: float
    error: float
    accepted: float
    rejected: float


def fit(observations: Observations, before: Calibration, *, with_biases: bool) -> Fit:
    """Fit biases, temperatures and threshold to a model's scores of one split.

    Args:
        observations: Its clean rows are used.
        before: What the checkpoint says now.
        with_biases: Whether the weights may be changed.

    Raises:
        ModelError: There are no clean rows.

    """
    rows = observations.where(observations.condition == CLEAN)
    if not len(rows):
        raise ModelError("no clean speech among the scores: nothing to calibrate with")
    biases, calibration = _fit(rows, before, with_biases=with_biases)
    moved = adjusted(rows, biases)
    threshold, accepted, rejected = best_threshold(moved, calibration)
    return Fit(
        biases,
        replace(calibration, und_threshold=threshold),
        reliability_of(rows, before).error,
        cross_fitted(rows, before, with_biases=with_biases).error,
        accepted,
        rejected,
    )


def _fit(
    rows: Observations, before: Calibration, *, with_biases: bool
) -> tuple[dict[str, float], Calibration]:
    columns = [rows.labels.index(language) for language in rows.targets]
    if len(columns) == len(rows.labels):
        rows = rows.where(rows.language != OTHER)
    names = np.array([*rows.targets, OTHER])
    cuts = sorted(set(map(str, rows.cut)), key=float)
    prepared = []
    for cut in cuts:
        own = rows.where(rows.cut == cut)
        truth = (own.language[:, None] == names).argmax(axis=1)
        prepared.append((own.logits.astype(np.float64), truth, voice_weights(own)))
    count = len(columns) if with_biases else 0

    def loss(point: npt.NDArray[np.float64]) -> float:
        total = BIAS_PENALTY * float((point[:count] ** 2).sum())
        for (logits, truth, weights), logarithm in zip(prepared, point[count:], strict=True):
            scores = logits.copy()
            if count:
                scores[:, columns] += point[:count]
            chances = _log_chances(scores / np.exp(logarithm), columns)
            total -= float(np.average(chances[np.arange(len(truth)), truth], weights=weights))
        return total

    bounds = [(-BIAS_LIMIT, BIAS_LIMIT)] * count
    bounds += [(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT)] * len(cuts)
    found = optimize.minimize(loss, np.zeros(len(bounds)), method="L-BFGS-B", bounds=bounds).x
    biases = dict.fromkeys(rows.targets, 0.0)
    if count:
        biases = {
            language: round(float(value), 4)
            for language, value in zip(rows.targets, found[:count], strict=True)
        }
    points = tuple(
        (float(cut), round(float(np.exp(value)), 4))
        for cut, value in zip(cuts, found[count:], strict=True)
    )
    return biases, replace(before, temperatures=points, unknown_temperatures=())


def _log_chances(scores: npt.NDArray[np.float64], columns: list[int]) -> npt.NDArray[np.float64]:
    """Log-probabilities `(rows, targets + 1)`: each target, and all else together."""
    everything = log_softmax(scores, axis=1)
    rest = np.delete(everything, columns, axis=1)
    other = logsumexp(rest, axis=1) if rest.shape[1] else np.full(len(scores), -np.inf)
    return np.maximum(np.column_stack([everything[:, columns], other]), np.log(1e-6))


def adjusted(rows: Observations, biases: Mapping[str, float]) -> Observations:
    """Return the rows as the model scores them once the biases are in its weights."""
    logits = rows.logits.copy()
    for language, bias in biases.items():
        logits[:, rows.labels.index(language)] += np.float32(bias)
    return replace(rows, logits=logits)


def voice_weights(rows: Observations) -> npt.NDArray[np.float64]:
    """Weigh rows: languages alike, within them corpora by the root of their voices.

    Within a corpus every voice weighs the same. The weights sum to the number of languages.
    """
    keys = list(zip(rows.language, rows.corpus, rows.speaker, strict=True))
    of_voice = Counter(keys)
    voices = Counter((language, corpus) for language, corpus, _ in of_voice)
    of_language: Counter[str] = Counter()
    for (language, _), number in voices.items():
        of_language[language] += number**0.5  # type: ignore[assignment]
    return np.array(
        [voices[key[0], key[1]] ** -0.5 / of_language[key[0]] / of_voice[key] for key in keys],
        np.float64,
    )


def reliability_of(rows: Observations, calibration: Calibration) -> Reliability:
    """Compare confidence in the best target with how often it is right, on the targets' speech.

    The other labels' probability is shared out among the targets, as for a source that names its
    candidates.
    """
    known = rows.where(rows.language != OTHER)
    return reliability(*_among_targets(known, calibration), voice_weights(known))


def _among_targets(
    known: Observations, calibration: Calibration
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    columns = [known.labels.index(language) for language in known.targets]
    chance = calibrated(known.logits, known.duration_s, calibration)[:, columns]
    best = np.array(known.targets)[chance.argmax(axis=1)]
    return chance.max(axis=1) / chance.sum(axis=1), best == known.language


def halves(rows: Observations) -> npt.NDArray[np.bool_]:
    """Split the rows in two by speaker, so that nobody is in both halves."""
    names = np.unique(rows.speaker)
    # By a hash, so that it does not move when a clip is added; alternating within that order.
    ordered = sorted(names, key=lambda name: zlib.crc32(str(name).encode()))
    return np.isin(rows.speaker, ordered[::2])


def cross_fitted(
    rows: Observations, before: Calibration, *, with_biases: bool = True
) -> Reliability:
    """Measure the reliability on the half of the speakers that was not fitted on, both ways."""
    first = halves(rows)
    confidence, right, weights = [], [], []
    for fitted_on, measured_on in ((first, ~first), (~first, first)):
        measured = rows.where(measured_on & (rows.language != OTHER))
        if not fitted_on.any() or not len(measured):
            continue
        biases, calibration = _fit(rows.where(fitted_on), before, with_biases=with_biases)
        sure, good = _among_targets(adjusted(measured, biases), calibration)
        confidence.append(sure)
        right.append(good)
        weights.append(voice_weights(measured))
    return reliability(np.concatenate(confidence), np.concatenate(right), np.concatenate(weights))


def best_language(
    rows: Observations, calibration: Calibration
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Return each row's best target language and its calibrated probability."""
    columns = [rows.labels.index(language) for language in rows.targets]
    chance = calibrated(rows.logits, rows.duration_s, calibration)[:, columns]
    if not len(rows):
        return np.zeros(0, np.str_), np.zeros(0)
    return np.array(rows.targets)[chance.argmax(axis=1)], chance.max(axis=1)


def best_threshold(rows: Observations, calibration: Calibration) -> tuple[float, float, float]:
    """Find the threshold with the most of (known accepted + unknown rejected) / 2.

    Returns:
        The threshold and both shares; 0.5 where there is no unknown language to reject.

    """
    best, confidence = best_language(rows, calibration)
    unknown = rows.language == OTHER
    good = ~unknown & (best == rows.language)
    weights = voice_weights(rows)

    def shares(threshold: float) -> tuple[float, float]:
        named = confidence >= threshold
        accepted = np.average(named[good], weights=weights[good]) if good.any() else 0.0
        rejected = np.average(~named[unknown], weights=weights[unknown]) if unknown.any() else 0.0
        return float(accepted), float(rejected)

    if not unknown.any() or not good.any():
        return 0.5, *shares(0.5)
    candidates = np.round(np.arange(0.30, 0.96, 0.01), 2)
    scores = np.array([sum(shares(value)) for value in candidates])
    # The middle of the plateau: the best on these clips is the edge of a stair.
    threshold = round(float(np.median(candidates[scores >= scores.max() - 0.002])), 2)
    return threshold, *shares(threshold)


def write_calibration(directory: Path, found: Fit, context: str | None = None) -> None:
    """Put biases into the weights, temperatures and threshold into `config.json`.

    Args:
        directory: Of the checkpoint.
        found: What was fitted.
        context: None leaves what is there, `padded` where nothing is.

    Raises:
        ModelError: There is no checkpoint in the directory.

    """
    path = directory / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: no checkpoint to calibrate ({error})") from error
    block = dict(config.get("langidd") or {})
    if any(found.biases.values()):
        _add_biases(directory / "model.safetensors", block["languages"], found.biases)
    calibration = found.calibration
    block.setdefault("format", 1)
    block["context"] = context or block.get("context", "padded")
    block["unknown_labels"] = list(calibration.unknown)
    block["temperature"] = [list(point) for point in calibration.temperatures]
    block["und_threshold"] = calibration.und_threshold
    block.pop("unknown_temperature", None)
    config["langidd"] = block
    partial = path.with_suffix(".json.part")
    partial.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(path)


def _add_biases(path: Path, languages: list[str], biases: Mapping[str, float]) -> None:
    """Move the last norm of the decoder so that the languages' logits move by the biases.

    Logits are `E · (γ x + β)` with the embeddings E of the languages: to add b, β moves by the
    smallest δ with `E δ = b`. So no format and no reader needs to know of biases.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error
    embeddings = tensors["model.decoder.embed_tokens.weight"][1:].astype(np.float64)
    wanted = np.array([biases.get(language, 0.0) for language in languages])
    shift, *_ = np.linalg.lstsq(embeddings, wanted, rcond=None)
    name = "model.decoder.layer_norm.bias"
    kind = tensors[name].dtype
    tensors[name] = (tensors[name].astype(np.float64) + shift).astype(kind)
    partial = path.with_suffix(".safetensors.part")
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors lets only its owner read it
    partial.rename(path)
