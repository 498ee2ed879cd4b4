"""`average`: several runs from the same start, their weights averaged into one checkpoint.

Runs that begin at the same weights end in the same valley, and the middle of it does
better on speakers that none of them met than any of the runs does (Wortsman et al.,
"Model soups", 2022). It costs nothing when it is used: it is one model, as big as before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from transformers.trainer_utils import get_last_checkpoint

from langidd.errors import ConfigError
from langidd_training.fit.packaging import package
from langidd_training.fit.running_mean import FILE as MEAN
from langidd_training.fit.train import build_trainer
from langidd_training.fit.trainers import LanguageTrainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langidd_training.data.store import Store
    from langidd_training.fit.presets import Recipe


def average(
    store: Store,
    runs: Mapping[Path, float],
    directory: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
) -> Path:
    """Average the runs' last checkpoints and package them; gives `directory / "model"`.

    `runs`: each with the weight it has in the average. `store`, `checkpoint`, `languages`
    and `recipe` as they were trained with. The biases are balanced and the teacher's share is
    added after the averaging. Raises ConfigError where a run has no checkpoint, or the runs
    are not of one kind.
    """
    trainer = build_trainer(
        store, directory / "checkpoints", checkpoint=checkpoint, languages=languages, recipe=recipe
    )
    if not isinstance(trainer, LanguageTrainer):
        raise ConfigError("average: a recipe of whole, padded clips has no running mean to average")
    parts = [_learned(run) for run in runs]
    wanted = {name: value.shape for name, value in trainer.model.state_dict().items()}
    for run, part in zip(runs, parts, strict=True):
        if {name: value.shape for name, value in part.items()} != wanted:
            raise ConfigError(
                f"{run}: its weights are not of the same kind; runs must share the checkpoint, "
                "the data, the recipe's layers and the languages"
            )
    total = sum(runs.values())
    shares = [weight / total for weight in runs.values()]
    mean = {
        name: sum(
            (share * part[name] for share, part in zip(shares, parts, strict=True)),
            torch.zeros_like(parts[0][name]),
        )
        for name in wanted
    }
    trainer.model.load_state_dict(mean)
    trainer.running_mean = None
    packaged = directory / "model"
    package(trainer.model.config, trainer.shipped_weights(), packaged, context=recipe.context)
    return packaged


def _learned(run: Path) -> Mapping[str, torch.Tensor]:
    """A run's weights with what only training needs, the running mean where there is one."""
    last = get_last_checkpoint(str(run / "checkpoints")) if (run / "checkpoints").is_dir() else None
    if last is None:
        raise ConfigError(f"{run}: no checkpoint to average; train it first")
    weights: dict[str, torch.Tensor] = load_file(f"{last}/model.safetensors")
    if (mean := Path(last) / MEAN).is_file():
        weights.update(load_file(mean))
    return weights
