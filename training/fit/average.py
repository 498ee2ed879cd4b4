"""`average`: several checkpoints of one start, their weights averaged into one (a model soup).

Runs that begin at the same weights end in the same valley, and the middle of it does
better on speakers that none of them has met than any of the runs does (Wortsman et al.,
"Model soups", 2022); with the start among them it forgets less (Wortsman et al., "Robust
fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langidd.errors import ConfigError
from langidd_training.fit.export import export
from langidd_training.fit.network import languages_of, open_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def average(
    checkpoints: Mapping[str, float], directory: Path, *, languages: Sequence[str] = ()
) -> Path:
    """Average checkpoints and export the result.

    Args:
        checkpoints: Each with the weight that it has: directories, hub names or bundled models,
            all of one architecture. A stock Whisper's vocabulary is reduced first.
        directory: Of the averaged checkpoint.
        languages: Those that come first among the labels.

    Raises:
        ConfigError: They are not of one kind.
        ModelError: One of them cannot be used.

    """
    total = sum(checkpoints.values())
    (first, weight), *others = checkpoints.items()
    network = open_network(first, languages)
    mean = {name: weight / total * value for name, value in network.state_dict().items()}
    for name, weight in others:
        other = open_network(name, languages_of(network))
        weights = other.state_dict()
        if {key: value.shape for key, value in weights.items()} != {
            key: value.shape for key, value in mean.items()
        }:
            raise ConfigError(
                f"model {name}: is not of the same kind as {first}: what is averaged must have "
                "the same layers, width and languages"
            )
        for key, value in weights.items():
            mean[key] += weight / total * value
    return export(network.config, mean, directory)
