"""Recipes: every number of a training run, by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from langidd.errors import ConfigError
from langidd_training.augment.augment import Augmentation
from langidd_training.fit.batches import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every way to train has; as it is, a classifier on whole clips padded to 30 s.

    Attributes:
        steps: Of the optimiser.
        learning_rate: At its highest.
        warm_up: Steps (below 1: their share) until it is there.
        schedule: How it falls.
        weight_decay: AdamW's.
        batch_size: Items of the data set in a batch.
        accumulation: Batches of a step.
        half_precision: `bf16`, or `fp16` where there is CUDA.
        eval_steps: Steps from check to check, and from checkpoint to checkpoint.

    """

    steps: int = 9_000
    learning_rate: float = 3e-5
    warm_up: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.0
    batch_size: int = 2
    accumulation: int = 4
    half_precision: str = "fp16"
    eval_steps: int = 1_000


@dataclass(frozen=True, slots=True)
class LanguageRecipe(Recipe):
    """Whisper's encoder and its decoder's first step, on short windows.

    Attributes:
        encoder_layers: Keep so many of the start's; None: all.
        decoder_layers: The same of the decoder.
        frozen_layers: So many of the encoder's lowest stay as they were.
        smoothing: The share of a label that is spread over all languages.
        teacher_share: How much of a target is the teacher's answer (0: only where a language
            has no token of its own).
        not_taught: Languages that the teacher does not know: there the label is all.
        mean_decay: Of the running mean of the weights, which is what is checked and exported.
        start_share: How much of the start is averaged into the exported weights.
        sampling: How batches are drawn.
        augmentation: What is done to the crops.

    """

    steps: int = 600
    learning_rate: float = 4e-5
    warm_up: float = 40
    schedule: str = "cosine"
    weight_decay: float = 0.01
    batch_size: int = 1
    accumulation: int = 1
    half_precision: str = "bf16"
    eval_steps: int = 100
    encoder_layers: int | None = None
    decoder_layers: int | None = None
    frozen_layers: int = 3
    smoothing: float = 0.04
    teacher_share: float = 0.0
    not_taught: tuple[str, ...] = ("uz",)
    mean_decay: float = 0.9885
    start_share: float = 0.25
    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation = field(default_factory=Augmentation)


RECIPES: Final[Mapping[str, Recipe]] = {
    "default": LanguageRecipe(),
    "small": LanguageRecipe(
        steps=6_000,
        learning_rate=3e-4,
        eval_steps=500,
        encoder_layers=2,
        decoder_layers=1,
        frozen_layers=0,
        teacher_share=0.8,
        not_taught=(),
        mean_decay=0.998,
    ),
    "seed": Recipe(),
}
"""`small` is distilled from a model that `default` made (`teach --every-clip --checkpoint` it).
`seed` is the recipe of the project's first model, as it was."""


def recipe(name: str, **changes: object) -> Recipe:
    """Return a recipe by name, with what is not None of `changes` instead of its own.

    Raises:
        ConfigError: There is no such recipe.

    """
    if name not in RECIPES:
        raise ConfigError(f"preset {name!r} is none of {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES[name], **given)  # type: ignore[arg-type]
