"""`transformers.Trainer` on batches of crops: its loss, its check, its lines in the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from langidd_training.fit.check import check
from langidd_training.fit.running_mean import RunningMean, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from langidd_training.data.store import Store
    from langidd_training.fit.presets import LanguageRecipe


class LanguageTrainer(Trainer):  # type: ignore[misc]
    """`Trainer` whose items are batches, whose loss is cross entropy to their targets."""

    def __init__(
        self, *, store: Store, recipe: LanguageRecipe, languages: Sequence[str], **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self._store = store
        self._recipe = recipe
        self._languages = list(languages)
        self._start = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.running_mean = RunningMean(recipe.mean_decay)
        self.add_callback(self.running_mean)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 (Trainer's signature)
        **_: Any,
    ) -> Any:
        """Return the cross entropy between the targets and the languages' probabilities."""
        logits = model(samples=inputs["samples"]).float()
        loss = -(inputs["targets"] * logits.log_softmax(dim=-1)).sum(dim=-1).mean()
        return (loss, {"logits": logits}) if return_outputs else loss

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Check the running mean of the weights on the dev split."""
        network = unwrapped(self.model)
        with self.running_mean.in_place(network):
            found = check(network, self._store, self._languages)
        metrics = {f"{metric_key_prefix}_{key}": value for key, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def exported_weights(self) -> dict[str, torch.Tensor]:
        """Return the running mean, with the recipe's share of the start averaged in."""
        network = unwrapped(self.model)
        share = self._recipe.start_share
        with self.running_mean.in_place(network):
            return {
                name: (1 - share) * value.detach().cpu() + share * self._start[name].cpu()
                for name, value in network.state_dict().items()
            }


class WholeClipTrainer(Trainer):  # type: ignore[misc]
    """The plain `Trainer`, on whole clips padded to 30 s, best checkpoint kept."""

    def exported_weights(self) -> dict[str, torch.Tensor]:
        """Return the model's weights."""
        return dict(unwrapped(self.model).state_dict())


class Progress(TrainerCallback):  # type: ignore[misc]
    """One line for people each time that something is logged."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._begun = (0.0, 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 (the callback's signature)
        """Start the clock; a resumed run says so."""
        self._begun = (time.monotonic(), state.global_step)
        if state.global_step:
            self._say(f"goes on from step {state.global_step} of {state.max_steps}")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any  # noqa: ARG002 (the callback's signature)
    ) -> None:  # fmt: skip
        """Say where the run is."""
        began, first = self._begun
        parts = [f"step {state.global_step} of {state.max_steps}"]
        if "loss" in logs:
            each_s = (time.monotonic() - began) / max(1, state.global_step - first)
            left_min = each_s * (state.max_steps - state.global_step) / 60
            parts.append(f"loss {float(logs['loss']):.3f}")
            parts.append(f"learning rate {float(logs['learning_rate']):.1e}")
            parts.append(f"{each_s:.2f} s a step, {left_min:.0f} min left")
        for name, value in logs.items():
            if name.startswith("eval_macro_") or name == "eval_accuracy":
                what = name.removeprefix("eval_").replace("macro_", "dev at ")
                parts.append(f"{what} {100 * float(value):.1f} %")
        if len(parts) > 1:
            self._say(", ".join(parts))


def with_progress(trainer: Trainer, say: Callable[[str], None]) -> Trainer:
    """Let a trainer log lines for people instead of dictionaries."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress(say))
    return trainer


def accuracy(prediction: Any) -> dict[str, float]:
    """Return the one figure of the original recipe."""
    scores = prediction.predictions
    best = (scores[0] if isinstance(scores, tuple) else scores).argmax(axis=-1)
    return {"accuracy": float((best == prediction.label_ids).mean())}
