"""What a source brings to its decider: its candidate languages and their priors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from langidd.errors import ConfigError
from langidd.types import UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langidd.types import Calibration


def candidate_languages(
    source: str, calibration: Calibration, candidates: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the source's languages, each once: `candidates`, or the model's own choice.

    Raises:
        ConfigError: There are none, or the model does not know one.

    """
    known = calibration.languages
    chosen = (
        calibration.default_languages if candidates is None else tuple(dict.fromkeys(candidates))
    )
    for language in chosen:
        if language not in known:
            raise ConfigError(
                f"candidates of {source}: the model does not know {language!r}; "
                f"it knows {', '.join(known)}"
            )
    if not chosen:
        raise ConfigError(f"candidates of {source}: none; give some of {', '.join(known)}")
    return chosen


def prior_probabilities(
    source: str,
    languages: Sequence[str],
    priors: Mapping[str, float] | None,
    und_prior: float,
) -> dict[str, float]:
    """Return the probability of each language and `und` before any evidence.

    Args:
        source: The source's name, for errors.
        languages: The source's candidate languages.
        priors: Relative probabilities; a language without one gets their mean.
        und_prior: The probability of `und`, where `priors` gives none.

    Raises:
        ConfigError: A prior is not above 0, or its language is not a candidate.

    """
    given = dict(priors or {})
    for language, prior in given.items():
        if language != UNCERTAIN and language not in languages:
            raise ConfigError(
                f"priors of {source}: {language!r} is none of its candidates "
                f"({', '.join(languages)})"
            )
        if not (math.isfinite(prior) and prior > 0.0):
            raise ConfigError(f"priors of {source}: {language} = {prior!r}: give more than 0")
    und = given.pop(UNCERTAIN, und_prior)
    if not 0.0 < und < 1.0:
        raise ConfigError(f"priors of {source}: und = {und!r}: give more than 0 and less than 1")
    usual = math.fsum(given.values()) / len(given) if given else 1.0
    weights = {language: given.get(language, usual) for language in languages}
    total = math.fsum(weights.values())
    return {
        **{language: (1.0 - und) * weight / total for language, weight in weights.items()},
        UNCERTAIN: und,
    }
