"""The two ways to run `transformers.Trainer`: ours, and the original recipe's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from transformers import Trainer

from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.passages import join_short
from langidd_training.fit.balance import balancing
from langidd_training.fit.model import TrimmedWhisper, parameter_groups
from langidd_training.fit.quick_check import dev_passages, quick_check, window_logits
from langidd_training.fit.running_mean import RunningMean, unwrapped
from langidd_training.fit.teacher import LANGUAGES, blended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.data.store import Store, StoredClip
    from langidd_training.fit.presets import Recipe


BALANCE_S: Final = (1.0, 2.0, 3.0)
"""How much speech the classes are balanced on: short clips of a speaker are joined, for where
one language has words and another has sentences, a length would stand for a language."""


class LanguageTrainer(Trainer):  # type: ignore[misc]
    """`Trainer` whose items are batches and whose evaluation is `quick_check`.

    `dev` is checked while training runs, `balanced_on` is what the shipped biases are fitted on.
    `args.learning_rate`, `args.weight_decay` and `args.label_smoothing_factor` are the
    top layer's rate and what they say; so a search can draw them.
    """

    def __init__(
        self,
        *,
        store: Store,
        recipe: Recipe,
        dev: Sequence[StoredClip],
        balanced_on: Sequence[StoredClip],
        labels: Sequence[str],
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self._store = store
        self._recipe = recipe
        self._dev = dev
        self._balanced_on = balanced_on
        self._classes = list(labels)
        self.running_mean = RunningMean(recipe.ema) if recipe.ema else None
        if self.running_mean is not None:
            self.add_callback(self.running_mean)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a rate for each layer."""
        if self.optimizer is None:
            rate = self.args.learning_rate
            groups = parameter_groups(
                unwrapped(model if model is not None else self.model),
                head_lr=rate * self._recipe.head_lr / self._recipe.top_lr,
                top_lr=rate,
                layer_decay=self._recipe.layer_decay,
                frozen_layers=self._recipe.frozen_layers,
                weight_decay=self.args.weight_decay,
            )
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8, fused=True)
        return self.optimizer

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 (Trainer's signature)
        **_: Any,
    ) -> Any:
        """Cross entropy over the classes, the languages alone, the locales, and the teacher."""
        outputs = model(input_features=inputs["input_features"])
        loss = self._recipe.class_weight * self._class_loss(
            outputs.logits.float(), inputs["labels"]
        )
        if outputs.finer is not None:
            finer = torch.nn.functional.cross_entropy(
                outputs.finer.float(),
                inputs["locales"],
                label_smoothing=self.args.label_smoothing_factor,
            )
            loss = loss + self._recipe.finer_weight * finer
        if outputs.taught is not None:
            divergence = torch.nn.functional.kl_div(
                outputs.taught.float().log_softmax(dim=-1),
                inputs["teachings"],
                reduction="batchmean",
            )
            loss = loss + self._recipe.teacher_weight * divergence
        return (loss, outputs) if return_outputs else loss

    def _class_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Over all classes, and again over the languages alone, where it is one of them.

        The second term keeps the languages apart where `other` takes a window's
        probability: what is said once a source's candidates are known rests on it.
        """
        smoothing = self.args.label_smoothing_factor
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        known = [index for index, label in enumerate(self._classes) if label != OTHER]
        chosen = labels < len(known)
        if self._recipe.closed_weight and len(known) < logits.shape[1] and chosen.any():
            closed = torch.nn.functional.cross_entropy(
                logits[chosen][:, known], labels[chosen], label_smoothing=smoothing
            )
            loss = loss + self._recipe.closed_weight * closed
        return loss

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Check the running mean of the weights (the weights where there is none)."""
        model = unwrapped(self.model)
        if self.running_mean is not None:
            self.running_mean.swap(model)
        found = quick_check(model, self._store, self._dev, self._classes)
        if self.running_mean is not None:
            self.running_mean.swap(model)
        metrics = {f"{metric_key_prefix}_{key}": value for key, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def shipped_weights(self) -> dict[str, torch.Tensor]:
        """The stock model's weights: the running mean, blended and balanced."""
        weights = self._blended_weights()
        known = [clip for clip in self._balanced_on if clip.language in self._classes]
        if not self._recipe.balanced or not known:
            return weights
        model = TrimmedWhisper(unwrapped(self.model).config)
        model.load_state_dict(weights)
        model.to(weights["classifier.bias"].device).eval()
        passages = dev_passages(self._store, known, max(BALANCE_S))
        heard = []
        for length_s in BALANCE_S:
            # Where nobody says so much: the clips as they are.
            joined = join_short(passages, length_s) or passages
            truth = np.array([self._classes.index(passage.language) for passage in joined])
            heard.append((window_logits(model, joined), truth))
        biases = balancing(heard)
        if OTHER in self._classes:
            biases[self._classes.index(OTHER)] += np.log(self._recipe.other_prior)
        bias = weights["classifier.bias"]
        weights["classifier.bias"] = bias + torch.from_numpy(biases).to(bias)
        return weights

    def _blended_weights(self) -> dict[str, torch.Tensor]:
        model = unwrapped(self.model)
        if self.running_mean is not None:
            self.running_mean.swap(model)
        weights = {name: value.detach().clone() for name, value in model.stock_state().items()}
        if self._recipe.teacher_share:
            languages = json.loads((self._store.directory / LANGUAGES).read_text())
            with torch.no_grad():
                weights = blended(
                    weights, model.taught, self._classes, languages, self._recipe.teacher_share
                )
        if self.running_mean is not None:
            self.running_mean.swap(model)
        return weights


class WholeClipTrainer(Trainer):  # type: ignore[misc]
    """The plain `Trainer`, on whole clips padded to 30 s, best checkpoint kept."""

    def shipped_weights(self) -> dict[str, torch.Tensor]:
        """The stock model's weights."""
        return dict(unwrapped(self.model).stock_state())


def accuracy(prediction: Any) -> dict[str, float]:
    """The one figure of the original recipe."""
    said = prediction.predictions
    said = (said[0] if isinstance(said, tuple) else said).argmax(axis=-1)
    return {"accuracy": float((said == prediction.label_ids).mean())}
