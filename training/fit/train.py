"""`train`: a run of `transformers.Trainer`, from prepared data to an exported checkpoint."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments, WhisperForAudioClassification
from transformers.trainer_utils import get_last_checkpoint

from langidd.model.whisper.location import locate
from langidd_training.data.corpus import require_languages
from langidd_training.fit.batches import Batches
from langidd_training.fit.export import export
from langidd_training.fit.network import freeze, languages_of, open_network
from langidd_training.fit.presets import LanguageRecipe
from langidd_training.fit.quiet import quiet_transformers
from langidd_training.fit.targets import ANSWERS, make_targets, read_answers
from langidd_training.fit.trainer import (
    LanguageTrainer,
    WholeClipTrainer,
    accuracy,
    with_progress,
)
from langidd_training.fit.whole_clips import WholeClips

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from langidd_training.data.store import Store
    from langidd_training.fit.network import LanguageWhisper
    from langidd_training.fit.presets import Recipe


def train(
    store: Store,
    directory: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
    noises: Sequence[npt.NDArray[np.float32]] = (),
    seed: int = 1,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> Path:
    """Train and export; a run that was stopped goes on from its last checkpoint.

    Under `torchrun` every process takes its share of the batches.

    Args:
        store: The prepared data.
        directory: Of the run: `checkpoints/`, `recipe.json`, `log.json`, `model/`.
        checkpoint: The Whisper to start from: a hub name or a directory, of any size.
        languages: Those that the model is for; they come first among its labels.
        recipe: Every number of it.
        noises: Recordings of noise for augmentation.
        seed: Draws the batches.
        workers: Processes that draw and augment.
        say: Is given the lines of the log.

    Returns:
        The directory of the exported checkpoint.

    Raises:
        ConfigError: A language has no clip, or the teacher was not asked and must be.
        ModelError: The checkpoint cannot be used.

    """
    directory.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(
        store,
        directory / "checkpoints",
        checkpoint=checkpoint,
        languages=languages,
        recipe=recipe,
        noises=noises,
        seed=seed,
        workers=workers,
        say=say,
    )
    first = trainer.is_world_process_zero()
    if first:
        about = {"seed": seed, "checkpoint": checkpoint, **asdict(recipe)}
        (directory / "recipe.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(directory / "checkpoints")))
    if first:
        export(trainer.model.config, trainer.exported_weights(), directory / "model")
        log = json.dumps(trainer.state.log_history, indent=1)
        (directory / "log.json").write_text(log, encoding="utf-8")
    return directory / "model"


def build_trainer(
    store: Store,
    checkpoints: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
    noises: Sequence[npt.NDArray[np.float32]] = (),
    seed: int = 1,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> LanguageTrainer | WholeClipTrainer:
    """Put data, model and recipe together; nothing is trained yet. As for `train`."""
    require_languages(
        (clip for clip in store.clips if clip.split == "train"),
        languages,
        f"{store.directory}, train",
    )
    checkpoints.mkdir(parents=True, exist_ok=True)
    arguments = _arguments(
        checkpoints,
        recipe,
        checked=any(clip.split == "dev" and clip.language in languages for clip in store.clips),
        seed=seed,
        workers=workers,
    )
    torch.manual_seed(seed)
    if not isinstance(recipe, LanguageRecipe):
        return with_progress(_whole_clips(store, checkpoint, languages, arguments), say)

    def new_network(_trial: Any = None) -> LanguageWhisper:
        return _network(checkpoint, languages, recipe)

    batches = _batches(store, languages_of(new_network()), recipe, noises, seed)
    trainer = LanguageTrainer(
        store=store,
        recipe=recipe,
        languages=languages,
        model_init=new_network,
        args=arguments,
        train_dataset=batches,
        eval_dataset=batches,
        data_collator=_only_item,
    )
    return with_progress(trainer, say)


def _network(checkpoint: str, languages: Sequence[str], recipe: LanguageRecipe) -> LanguageWhisper:
    network = open_network(
        checkpoint,
        languages,
        encoder_layers=recipe.encoder_layers,
        decoder_layers=recipe.decoder_layers,
    )
    # Now, and not only with the optimiser: what is frozen must be so before
    # DistributedDataParallel looks at the model.
    freeze(network, recipe.frozen_layers)
    return network


def _batches(
    store: Store,
    languages: Sequence[str],
    recipe: LanguageRecipe,
    noises: Sequence[npt.NDArray[np.float32]],
    seed: int,
) -> Batches:
    passages = store.passages("train")
    answers = None
    if (store.directory / ANSWERS).is_file():
        answers = read_answers(store.directory, len(passages), languages)
    targets = make_targets(
        passages,
        languages,
        answers,
        smoothing=recipe.smoothing,
        teacher_share=recipe.teacher_share,
        not_taught=recipe.not_taught,
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # torchrun's
    return Batches(
        store,
        passages,
        targets,
        recipe.sampling,
        recipe.augmentation,
        length=recipe.steps * recipe.accumulation * processes,
        seed=seed,
        noises=noises,
        processes=processes,
    )


def _whole_clips(
    store: Store, checkpoint: str, languages: Sequence[str], arguments: TrainingArguments
) -> WholeClipTrainer:
    with quiet_transformers():
        model = WhisperForAudioClassification.from_pretrained(
            locate(checkpoint),
            num_labels=len(languages),
            id2label=dict(enumerate(languages)),
            label2id={language: number for number, language in enumerate(languages)},
            dtype=torch.float32,
        )
    model.config.architectures = ["WhisperForAudioClassification"]
    model.config.langidd = {
        "format": 1,
        "context": "padded",
        "temperature": [[1.0, 1.0]],
        "und_threshold": 0.5,
    }
    train_clips, dev_clips = (
        WholeClips(
            store,
            [clip for clip in store.clips if clip.split == split],
            languages,
            model.config.num_mel_bins,
        )
        for split in ("train", "dev")
    )
    return WholeClipTrainer(
        model=model,
        args=arguments,
        train_dataset=train_clips,
        eval_dataset=dev_clips,
        compute_metrics=accuracy,
    )


def _arguments(
    checkpoints: Path, recipe: Recipe, *, checked: bool, seed: int, workers: int
) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    best = checked and not isinstance(recipe, LanguageRecipe)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=8,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warm_up,
        max_grad_norm=1.0,
        bf16=recipe.half_precision == "bf16",
        fp16=recipe.half_precision == "fp16" and cuda,
        use_cpu=not cuda,
        eval_strategy="steps" if checked else "no",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        save_total_limit=2,
        load_best_model_at_end=best,
        metric_for_best_model="accuracy" if best else None,
        logging_steps=min(25, recipe.eval_steps),
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=4 if workers else None,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        seed=seed,
        data_seed=seed,
        disable_tqdm=True,
        ddp_backend="gloo" if processes > 1 and not cuda else None,
        ddp_find_unused_parameters=False,
    )


def _only_item(items: list[dict[str, Any]]) -> dict[str, Any]:
    return items[0]
