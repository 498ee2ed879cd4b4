"""The running mean of the weights: what is checked, and exported."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import TrainingArguments

FILE: Final = "mean_weights.safetensors"


class RunningMean(TrainerCallback):  # type: ignore[misc]
    """The exponential mean of the weights that learn.

    It smooths away the last batches, which are few and of few speakers. It is kept with the
    checkpoints, so that a resumed run goes on with it.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.mean: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: Any,
        control: Any,  # noqa: ARG002 (the callback's signature)
        model: Any,
        **_: Any,
    ) -> None:
        """Start from the weights, or from the mean of the checkpoint that is resumed."""
        self.steps = state.global_step
        checkpoint = get_last_checkpoint(args.output_dir) if state.global_step else None
        if checkpoint is not None:
            saved = load_file(f"{checkpoint}/{FILE}")
            self.mean = {name: saved[name].to(value.device) for name, value in _learning(model)}
        else:
            self.mean = {name: value.detach().clone() for name, value in _learning(model)}

    def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:  # noqa: ARG002 (the callback's signature)
        """Move the mean; faster at first, while it is still the untrained weights."""
        self.steps += 1
        weight = max(1 - self.decay, 1 / (1 + self.steps / 4))
        current = dict(_learning(keywords["model"]))
        torch._foreach_lerp_(
            list(self.mean.values()), [current[name].data for name in self.mean], weight
        )

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 (the callback's signature)
        """Keep the mean beside the checkpoint; a search's trials are not resumed."""
        if state.is_world_process_zero and not state.is_hyper_param_search:
            save_file(self.mean, f"{args.output_dir}/checkpoint-{state.global_step}/{FILE}")

    @contextmanager
    def in_place(self, model: torch.nn.Module) -> Iterator[None]:
        """Put the mean into the model, and the weights back at the end."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def _swap(self, model: torch.nn.Module) -> None:
        for name, value in _learning(model):
            if name in self.mean:
                self.mean[name], value.data = value.data, self.mean[name]


def unwrapped(model: Any) -> Any:
    """Return the model itself, where torch's DistributedDataParallel is around it."""
    return model.module if hasattr(model, "module") else model


def _learning(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    for name, value in unwrapped(model).named_parameters():
        if value.requires_grad:
            yield name, value
