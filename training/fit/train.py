"""`train`: a run of `transformers.Trainer`, from a store to a packaged checkpoint."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from langidd_training.data.corpus import OTHER, require_languages
from langidd_training.fit.batches import Batches
from langidd_training.fit.model import TrimmedWhisper, fresh_model, parameter_groups
from langidd_training.fit.packaging import package
from langidd_training.fit.teacher import teachings
from langidd_training.fit.trainers import LanguageTrainer, WholeClipTrainer, accuracy
from langidd_training.fit.whole_clips import WholeClips

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from langidd_training.data.store import Store, StoredClip
    from langidd_training.fit.presets import Recipe

CHECKED_CLIPS: Final = 100
"""Of each locale and corpus of the dev split: a check while training runs stays quick."""
BALANCED_CLIPS: Final = 400
"""The same for the biases of the classes; their sound is in memory, 3 s of each clip."""


def train(
    store: Store,
    directory: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
    seed: int = 1,
    start_seed: int | None = None,
    workers: int = 1,
) -> Path:
    """Train and package; gives the packaged checkpoint's directory.

    A run that was stopped goes on from its last checkpoint in `directory`; a finished
    one is only packaged again. Under `torchrun` every process takes its share of the
    batches. `seed` draws the batches and `start_seed` the new weights (None: the same):
    runs that are to be averaged share the latter.
    """
    directory.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(
        store,
        directory / "checkpoints",
        checkpoint=checkpoint,
        languages=languages,
        recipe=recipe,
        seed=seed,
        start_seed=start_seed,
        workers=workers,
    )
    if trainer.is_world_process_zero():
        (directory / "recipe.json").write_text(
            json.dumps(
                {
                    "seed": seed,
                    "start_seed": start_seed,
                    "checkpoint": checkpoint,
                    **asdict(recipe),
                },
                indent=1,
            )
        )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(directory / "checkpoints")))
    packaged = directory / "model"
    if trainer.is_world_process_zero():
        weights = trainer.shipped_weights()
        package(trainer.model.config, weights, packaged, context=recipe.context)
        (directory / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    return packaged


def build_trainer(
    store: Store,
    checkpoints: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
    seed: int = 1,
    start_seed: int | None = None,
    workers: int = 1,
) -> LanguageTrainer | WholeClipTrainer:
    """Put data, model and settings together; nothing is trained yet."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    train_clips = [clip for clip in store.clips if clip.split == "train"]
    require_languages(train_clips, languages, f"{store.directory}, train")
    dev_clips = [clip for clip in store.clips if clip.split == "dev"]
    labels = [*languages]
    if recipe.context == "trimmed" and any(clip.language == OTHER for clip in train_clips):
        labels.append(OTHER)
    arguments = _arguments(checkpoints, recipe, seed=seed, workers=workers)
    start = seed if start_seed is None else start_seed

    if recipe.context == "padded":
        return WholeClipTrainer(
            model=_new_model(checkpoint, labels, recipe, start, {}),
            args=arguments,
            train_dataset=WholeClips(store, train_clips, labels),
            eval_dataset=WholeClips(store, dev_clips, labels),
            compute_metrics=accuracy,
        )
    taught = teachings(store.directory, len(store.clips)) if recipe.teacher_weight else None
    batches = Batches(
        store,
        train_clips,
        labels,
        recipe.sampling,
        recipe.augmentation,
        length=recipe.steps * recipe.accumulation * _processes(),
        seed=seed,
        spec_augment=recipe.spec_augment,
        teachings=taught,
        processes=_processes(),
    )
    heads = {
        "locales": len(batches.locales) if recipe.finer_weight else 0,
        "taught": 0 if taught is None else taught.shape[1],
    }
    return LanguageTrainer(
        store=store,
        recipe=recipe,
        dev=_few(dev_clips, seed, CHECKED_CLIPS),
        balanced_on=_few(dev_clips, seed, BALANCED_CLIPS),
        labels=labels,
        model_init=_model_maker(checkpoint, labels, recipe, start, heads),
        args=arguments,
        train_dataset=batches,
        eval_dataset=batches,
        data_collator=_only_item,
    )


def _model_maker(
    checkpoint: str, labels: Sequence[str], recipe: Recipe, seed: int, heads: dict[str, int]
) -> Callable[..., TrimmedWhisper]:
    def make(_trial: Any = None) -> TrimmedWhisper:
        return _new_model(checkpoint, labels, recipe, seed, heads)

    return make


def _new_model(
    checkpoint: str, labels: Sequence[str], recipe: Recipe, seed: int, heads: dict[str, int]
) -> TrimmedWhisper:
    torch.manual_seed(seed)
    model = fresh_model(
        checkpoint,
        labels,
        layers=recipe.layers,
        weighted_layer_sum=recipe.weighted_layer_sum,
        dropout=recipe.dropout,
    )
    model.add_training_heads(**heads)
    # Now, and not only with the optimiser: what is frozen must be so before
    # DistributedDataParallel looks at the model.
    parameter_groups(
        model,
        head_lr=recipe.head_lr,
        top_lr=recipe.top_lr,
        layer_decay=recipe.layer_decay,
        frozen_layers=recipe.frozen_layers,
        weight_decay=recipe.weight_decay,
    )
    return model


def _arguments(checkpoints: Path, recipe: Recipe, *, seed: int, workers: int) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    best = recipe.context == "padded"
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.clips_per_batch,
        per_device_eval_batch_size=8,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.top_lr,
        weight_decay=recipe.weight_decay,
        label_smoothing_factor=recipe.label_smoothing,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warm_up,
        max_grad_norm=1.0,
        bf16=recipe.half_precision == "bf16",
        fp16=recipe.half_precision == "fp16" and cuda,
        use_cpu=not cuda,
        eval_strategy="steps",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        save_total_limit=2,
        load_best_model_at_end=best,
        metric_for_best_model=recipe.best_by if best else None,
        logging_steps=min(25, recipe.eval_steps),
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=4 if workers else None,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        seed=seed,
        data_seed=seed,
        disable_tqdm=True,
        ddp_backend="gloo" if _processes() > 1 and not cuda else None,
        ddp_find_unused_parameters=False,
    )


def _few(clips: Sequence[StoredClip], seed: int, most: int) -> list[StoredClip]:
    """At most so many clips of each locale and corpus."""
    draw = random.Random(seed)  # noqa: S311 (a reproducible draw, no secret)
    groups: dict[tuple[str, str], list[StoredClip]] = {}
    for clip in clips:
        groups.setdefault((clip.locale, clip.corpus), []).append(clip)
    return [
        clip
        for found in groups.values()
        for clip in (draw.sample(found, most) if len(found) > most else found)
    ]


def _only_item(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # torchrun's
