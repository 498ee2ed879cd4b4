"""The pictures of a report. Each is a matplotlib `Figure`; none opens a window.

The colours are Okabe and Ito's, which people who see few colours can tell apart too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from langidd_training.evaluation.metrics import Reliability

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY: Final = "#666666"
WIDTH_IN: Final = 6.4


def _axes(height_in: float = 3.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def accuracy_by_length(found: Mapping[str, Any]) -> Figure:
    """Draw the macro accuracy against seconds of speech: each split, model and baseline."""
    figure, axes = _axes()
    lines = [(found["splits"], "-", "")]
    if "baseline" in found:
        lines.append((found["baseline"]["splits"], ":", ", baseline"))
    for splits, style, suffix in lines:
        for colour, (split, own) in zip(COLOURS, splits.items(), strict=False):
            points = [
                (float(cut), 100 * row["macro"])
                for cut, row in own["lengths"].items()
                if row["macro"] is not None
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True), f"o{style}", color=colour, label=f"{split}{suffix}"
                )
    axes.set_xlabel("seconds of speech")
    axes.set_ylabel("accuracy among the targets, %")
    axes.legend(frameon=False)
    return figure


def reliability_diagram(by_split: Mapping[str, Reliability]) -> Figure:
    """Draw confidence against accuracy, bin by bin."""
    figure, axes = _axes(4.0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    for colour, (split, found) in zip(COLOURS, by_split.items(), strict=False):
        label = f"{split}: error {100 * found.error:.1f} %"
        axes.plot(found.confidence, found.accuracy, "o-", color=colour, label=label)
    axes.set_xlabel("calibrated probability of the best target")
    axes.set_ylabel("share that is right")
    axes.legend(frameon=False)
    return figure


def training_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the loss of training and what was checked on the way, by step.

    Args:
        history: `log_history` of a `trainer_state.json`.

    """
    figure = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("step")
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    if losses:
        steps, values = map(np.array, zip(*losses, strict=True))
        left.plot(steps, values, color=COLOURS[0])
    left.set_ylabel("loss")
    checked = sorted(
        {
            name
            for entry in history
            for name in entry
            if name.startswith("eval_macro_") or name == "eval_accuracy"
        }
    )
    for colour, name in zip(COLOURS, checked, strict=False):
        points = [(entry["step"], 100 * entry[name]) for entry in history if name in entry]
        label = name.removeprefix("eval_").replace("macro_", "dev at ")
        right.plot(*zip(*points, strict=True), "o-", color=colour, label=label)
    right.set_ylabel("accuracy, %")
    if checked:
        right.legend(frameon=False)
    return figure
