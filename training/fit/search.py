"""`train --search N`: Optuna looks for the numbers that matter most."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from langidd_training.fit.trainer import LanguageTrainer, WholeClipTrainer


def search(trainer: LanguageTrainer | WholeClipTrainer, trials: int, out: Path) -> dict[str, Any]:
    """Run so many short trainings and write the best numbers to `out` (JSON).

    Drawn: learning rate, weight decay and warm-up. The best is by the check on the dev split.
    """
    best = trainer.hyperparameter_search(
        hp_space=space,
        compute_objective=objective,
        n_trials=trials,
        direction="maximize",
        backend="optuna",
    )
    result = {"objective": best.objective, "trials": trials, **best.hyperparameters}
    out.write_text(json.dumps(result, indent=1))
    return result


def space(trial: Any) -> dict[str, float]:
    """What is drawn, and between which bounds."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-6, 5e-4, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 1e-1, log=True),
        "warmup_steps": trial.suggest_float("warmup_steps", 0.02, 0.2),
    }


def objective(metrics: dict[str, float]) -> float:
    """Give the figure to maximise."""
    return metrics.get("eval_macro", metrics.get("eval_accuracy", 0.0))
