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
    """A way to train.

    `context` is what the checkpoint says it was trained for. `layers`: how many of the
    encoder's layers are kept (None: all). `frozen_layers` of them, the convolutions and the
    position embeddings stay as they were. Learning rates fall by `layer_decay` from layer to
    layer downwards. The loss is `class_weight` × (cross entropy over the classes +
    `closed_weight` × over the languages alone) + `finer_weight` × over the locales +
    `teacher_weight` × divergence from the teacher (0: no teacher is needed), and
    `teacher_share` of what the teacher's imitation says is added to the shipped classifier.
    `balanced`: the classes' biases are fitted on the dev split, `other` then counting
    `other_prior` times as likely as a language. `ema` is the decay of the running mean of the
    weights that is shipped (0: none).
    """

    context: str = "trimmed"
    layers: int | None = 4
    frozen_layers: int = 1
    weighted_layer_sum: bool = False
    dropout: float = 0.1
    steps: int = 12_000
    head_lr: float = 1e-3
    top_lr: float = 1.5e-4
    layer_decay: float = 0.7
    weight_decay: float = 0.01
    warm_up: float = 0.06
    schedule: str = "cosine"
    label_smoothing: float = 0.05
    closed_weight: float = 0.5
    class_weight: float = 1.0
    finer_weight: float = 0.2
    teacher_weight: float = 0.0
    teacher_share: float = 0.0
    balanced: bool = True
    other_prior: float = 0.5
    ema: float = 0.999
    clips_per_batch: int = 1
    accumulation: int = 1
    half_precision: str = "bf16"
    spec_augment: float = 0.5
    eval_steps: int = 1_000
    best_by: str = "macro_accuracy"
    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation = field(default_factory=Augmentation)


_SAMPLING: Final = Sampling(
    # What is long enough is soon learned: most of the windows are short.
    length_weights=(0.2, 0.36, 0.22, 0.1, 0.06, 0.04, 0.02),
    language_weights={"uz": 0.24, "ru": 0.25, "en": 0.27, "other": 0.24},
    # The voices are few: what one man read for 45 minutes must not be all of Russian.
    corpus_weights={
        "ru/festvox-ru-wav": 0.8,
        "ru/tuxpaint-stamps": 1.5,
        "ru/ktuberling": 2.0,
        "ru/hedgewars-voices": 2.0,
        "tr/gcompris-voices": 3.0,
        # Half of `other`: one project's way to record must not mean "none of them".
        "gcompris-voices": 0.6,
        "en/gcompris-voices": 1.5,
        # People's voices from vocoders: a quarter to two fifths of every class.
        "ru/rhvoice": 1.3,
        "ky/rhvoice": 1.5,
        "world": 0.7,
    },
    synthetic=0.12,
    # Half of the windows are from anywhere: most of those that a daemon hears are.
    onset=0.4,
    ending=0.1,
)

RECIPES: Final[Mapping[str, Recipe]] = {
    "default": Recipe(sampling=_SAMPLING),
    "teacher": Recipe(sampling=_SAMPLING, teacher_weight=2.0, teacher_share=0.75),
    "seed": Recipe(
        context="padded",
        layers=None,
        dropout=0.0,
        steps=9_000,
        head_lr=3e-5,
        top_lr=3e-5,
        layer_decay=1.0,
        weight_decay=0.0,
        warm_up=0.1,
        schedule="linear",
        label_smoothing=0.0,
        closed_weight=0.0,
        finer_weight=0.0,
        balanced=False,
        ema=0.0,
        clips_per_batch=2,
        accumulation=4,
        half_precision="fp16",
        spec_augment=0.0,
        best_by="accuracy",
    ),
}


def recipe(name: str, **changes: object) -> Recipe:
    """Give a recipe by name, with what is not None of `changes` instead of its own.

    Raises:
        ConfigError: there is no such recipe.

    """
    if name not in RECIPES:
        raise ConfigError(f"preset {name!r} is none of {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES[name], **given)  # type: ignore[arg-type]
