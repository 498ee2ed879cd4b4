"""`train`: a run of `transformers.Trainer`, from a store to a checkpoint."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Trainer,
    TrainerCallback,
    TrainingArguments,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    get_scheduler,
)
from transformers.trainer_utils import get_last_checkpoint

from training.batches import Batches
from training.corpus import OTHER
from training.model import TrimmedWhisper, fresh_model, parameter_groups
from training.quick_check import quick_check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.presets import Recipe
    from training.store import Store, StoredClip

EMA_FILE: Final = "mean_weights.safetensors"


class RunningMean(TrainerCallback):  # type: ignore[misc]
    """The exponential mean of the weights: what is checked and shipped.

    It smooths away the last batches, which here are few and of few speakers. It
    travels with the checkpoints, so that a resumed run goes on with it.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.mean = {
            name: value.detach().clone()
            for name, value in model.named_parameters()
            if value.requires_grad
        }

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Take up the mean of the checkpoint that the run resumes from."""
        self.steps = state.global_step
        if state.global_step:
            checkpoint = get_last_checkpoint(args.output_dir)
            if checkpoint is not None:
                self.mean = load_file(f"{checkpoint}/{EMA_FILE}")

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Move the mean; faster at first, while it is still the untrained weights."""
        self.steps += 1
        weight = max(1 - self.decay, 1 / (1 + self.steps / 4))
        current = dict(_unwrapped(model).named_parameters())
        names = list(self.mean)
        torch._foreach_lerp_(  # noqa: SLF001 (torch has no public name for it)
            [self.mean[name] for name in names], [current[name].data for name in names], weight
        )

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Keep the mean beside the checkpoint."""
        if state.is_world_process_zero:
            directory = f"{args.output_dir}/checkpoint-{state.global_step}"
            save_file(self.mean, f"{directory}/{EMA_FILE}")

    def swap(self, model: torch.nn.Module) -> None:
        """Exchange the model's weights and the mean; twice is as before."""
        for name, value in _unwrapped(model).named_parameters():
            if name in self.mean:
                self.mean[name], value.data = value.data, self.mean[name]


class LanguageTrainer(Trainer):  # type: ignore[misc]
    """`Trainer` whose items are batches and whose evaluation is `quick_check`."""

    def __init__(
        self,
        *,
        store: Store,
        recipe: Recipe,
        dev: Sequence[StoredClip],
        labels: Sequence[str],
        running_mean: RunningMean | None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self._store = store
        self._recipe = recipe
        self._dev = dev
        self._labels_in_order = labels
        self._running_mean = running_mean
        if running_mean is not None:
            self.add_callback(running_mean)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a rate for each layer."""
        if self.optimizer is None:
            recipe = self._recipe
            groups = parameter_groups(
                _unwrapped(self.model),
                head_lr=recipe.head_lr,
                top_lr=recipe.top_lr,
                layer_decay=recipe.layer_decay,
                frozen_layers=recipe.frozen_layers,
                weight_decay=recipe.weight_decay,
            )
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **_: Any  # noqa: FBT001, FBT002 (Trainer's signature)
    ) -> Any:
        """Cross entropy with label smoothing, in fp32 whatever the autocast."""
        outputs = model(input_features=inputs["input_features"])
        loss = self._loss(outputs.logits.float(), inputs["labels"])
        if outputs.hidden_states is not None:
            finer = torch.nn.functional.cross_entropy(
                outputs.hidden_states[0].float(),
                inputs["locales"],
                label_smoothing=self._recipe.label_smoothing,
            )
            loss = loss + self._recipe.finer_weight * finer
        return (loss, outputs) if return_outputs else loss

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Over all classes, and again over the languages alone, where it is one of them.

        The second term keeps the languages apart where `other` takes a window's
        probability: what is said once a source's candidates are known rests on it.
        """
        smoothing = self._recipe.label_smoothing
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        known = [index for index, label in enumerate(self._labels_in_order) if label != OTHER]
        chosen = labels < len(known)
        if self._recipe.closed_weight and len(known) < logits.shape[1] and chosen.any():
            closed = torch.nn.functional.cross_entropy(
                logits[chosen][:, known], labels[chosen], label_smoothing=smoothing
            )
            loss = loss + self._recipe.closed_weight * closed
        return loss

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Check the running mean (the weights themselves where there is none)."""
        model = _unwrapped(self.model)
        if self._running_mean is not None:
            self._running_mean.swap(model)
        found = quick_check(model, self._store, self._dev, self._labels_in_order)
        if self._running_mean is not None:
            self._running_mean.swap(model)
        metrics = {f"{metric_key_prefix}_{key}": value for key, value in found.items()}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train(
    store: Store,
    directory: Path,
    *,
    checkpoint: str,
    languages: Sequence[str],
    recipe: Recipe,
    seed: int = 0,
    resume: bool = True,
    workers: int = 1,
) -> Path:
    """Train and package; gives the packaged checkpoint's directory.

    A run that was stopped goes on from its last checkpoint in `directory`.
    """
    train_clips = [clip for clip in store.clips if clip.split == "train"]
    dev_clips = _few([clip for clip in store.clips if clip.split == "dev"], seed)
    labels = [*languages]
    if any(clip.language == OTHER for clip in train_clips):
        labels.append(OTHER)
    torch.manual_seed(seed)
    model = fresh_model(
        checkpoint,
        labels,
        layers=recipe.layers,
        weighted_layer_sum=recipe.weighted_layer_sum,
        dropout=recipe.dropout,
    )
    batches = Batches(
        store,
        train_clips,
        labels,
        recipe.sampling,
        recipe.augmentation,
        length=recipe.steps * recipe.accumulation * max(1, _processes()),
        seed=seed,
        spec_augment=recipe.spec_augment,
    )
    if recipe.finer_weight:
        model.add_finer_head(len(batches.locales))
    checkpoints = directory / "checkpoints"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=recipe.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.accumulation,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warm_up,
        max_grad_norm=1.0,
        bf16=recipe.half_precision == "bf16",
        fp16=recipe.half_precision == "fp16" and torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        save_total_limit=2,
        logging_steps=25,
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=4 if workers else None,
        remove_unused_columns=False,
        report_to=[],
        seed=seed,
        data_seed=seed,
        disable_tqdm=True,
        ddp_backend="gloo" if _processes() > 1 and not torch.cuda.is_available() else None,
    )
    parameter_groups(
        model,
        head_lr=recipe.head_lr,
        top_lr=recipe.top_lr,
        layer_decay=recipe.layer_decay,
        frozen_layers=recipe.frozen_layers,
        weight_decay=recipe.weight_decay,
    )
    running_mean = RunningMean(model, recipe.ema) if recipe.ema else None
    trainer = LanguageTrainer(
        model=model,
        args=arguments,
        train_dataset=batches,
        eval_dataset=batches,
        data_collator=_only_item,
        store=store,
        recipe=recipe,
        dev=dev_clips,
        labels=labels,
        running_mean=running_mean,
    )
    (directory / "recipe.json").write_text(
        json.dumps({"seed": seed, "checkpoint": checkpoint, **asdict(recipe)}, indent=1)
    )
    last = get_last_checkpoint(str(checkpoints)) if resume and checkpoints.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    if running_mean is not None:
        running_mean.swap(model)
    packaged = directory / "model"
    if trainer.is_world_process_zero():
        package(_unwrapped(trainer.model), packaged, recipe.context)
        (directory / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    return packaged


def package(model: TrimmedWhisper, directory: Path, context: str) -> None:
    """Write a stock checkpoint: fp16 safetensors, configuration, feature extractor."""
    config = WhisperConfig.from_dict(model.config.to_dict())
    config.architectures = ["WhisperForAudioClassification"]
    config.dropout = 0.0
    labels = [config.id2label[index] for index in range(config.num_labels)]
    config.langidd = {
        "format": 1,
        "context": context,
        "unknown_labels": [label for label in labels if label == OTHER],
        "temperature": [[1.0, 1.0]],
        "und_threshold": 0.5,
    }
    stock = WhisperForAudioClassification(config)
    stock.load_state_dict(model.stock_state())
    stock.half().save_pretrained(directory)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(directory)


def _few(clips: Sequence[StoredClip], seed: int, most: int = 100) -> list[StoredClip]:
    """At most so many clips of each language and corpus: a quick check stays quick."""
    draw = random.Random(seed)  # noqa: S311 (a reproducible draw, no secret)
    groups: dict[tuple[str, str], list[StoredClip]] = {}
    for clip in clips:
        groups.setdefault((clip.locale, clip.corpus), []).append(clip)
    return [
        clip for found in groups.values() for clip in draw.sample(found, min(most, len(found)))
    ]


def _only_item(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]


def _unwrapped(model: Any) -> Any:
    return model.module if hasattr(model, "module") else model


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # torchrun's
