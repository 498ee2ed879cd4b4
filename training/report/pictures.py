"""The pictures of a report. Each gives a matplotlib `Figure`; none opens a window.

Languages keep their colour from picture to picture. The colours are Okabe and Ito's,
which people who see few colours can tell apart too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.figures import unknown_score
from langidd_training.evaluation.metrics import TURKIC, auroc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from langidd.types import Calibration
    from langidd_training.evaluation.observations import Observations

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY: Final = "#666666"
WIDTH_IN: Final = 6.4


def _axes(height_in: float = 3.4, width_in: float = WIDTH_IN) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def training_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss of training and what was checked on the way, by step.

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
        left.plot(steps, values, color=COLOURS[5], linewidth=0.8, label="training, as logged")
        if len(values) >= 10:
            width = max(3, len(values) // 15)
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            left.plot(steps[width - 1 :], smooth, color=COLOURS[0], label="training, mean")
    checked = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]
    if checked:
        left.plot(*zip(*checked, strict=True), "o-", color=COLOURS[1], label="dev")
    left.set_ylabel("loss")
    if losses or checked:
        left.legend(frameon=False, fontsize=8)
    shares = sorted(
        {
            key
            for entry in history
            for key, value in entry.items()
            if key.startswith("eval_")
            and isinstance(value, float)
            and any(word in key for word in ("accuracy", "macro", "f1", "auroc"))
        }
    )
    for number, key in enumerate(shares[:6]):
        points = [(entry["step"], 100 * entry[key]) for entry in history if key in entry]
        right.plot(
            *zip(*points, strict=True),
            "o-",
            markersize=3,
            color=COLOURS[number % len(COLOURS)],
            label=key.removeprefix("eval_").replace("_", " "),
        )
    right.set_ylabel("dev, %")
    if shares:
        right.legend(frameon=False, fontsize=7)
    return figure


def log_mel(features: npt.NDArray[np.float32], seconds: float, title: str) -> Figure:
    """What the model hears: `features` is `(mels, frames)`."""
    figure, axes = _axes(2.6)
    image = axes.imshow(
        features, origin="lower", aspect="auto", extent=(0, seconds, 0, len(features)), cmap="magma"
    )
    axes.set(xlabel="s", ylabel="mel bin", title=title)
    figure.colorbar(image, ax=axes, label="log-mel (scaled)")
    return figure


def example_features(samples: npt.NDArray[np.float32], mels: int = 80) -> npt.NDArray[np.float32]:
    """Whisper's log-mel of some speech: `(mels, frames) float32`."""
    import torch

    from langidd.model.whisper.torch_log_mel import HOP_SAMPLES, LogMel

    whole = samples[: len(samples) // HOP_SAMPLES * HOP_SAMPLES]
    features = LogMel(mels, torch.device("cpu"))(torch.from_numpy(whole.copy())[None])
    return np.asarray(features[0].numpy())


def example_picture(samples: npt.NDArray[np.float32], title: str) -> Figure:
    """The log-mel of some speech."""
    return log_mel(example_features(samples), len(samples) / SAMPLE_RATE, title)


def confusions(lengths: Mapping[str, Any], cuts: Sequence[str] = ("1", "3", "whole")) -> Figure:
    """Confusion matrices side by side: row by row, what each language was called."""
    shown = [cut for cut in cuts if cut in lengths]
    figure = Figure(figsize=(2.5 * len(shown) + 0.6, 2.9), layout="constrained")
    for place, cut in enumerate(shown):
        matrix = lengths[cut]["confusion"]
        counts = np.array(matrix["counts"], float)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes = figure.add_subplot(1, len(shown), place + 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(matrix["columns"])), matrix["columns"])
        axes.set_yticks(range(len(matrix["rows"])), matrix["rows"])
        axes.set_title("whole clip" if cut == "whole" else f"{cut} s", fontsize=10)
        axes.set_xlabel("called")
        if place == 0:
            axes.set_ylabel("spoken")
        for row, column in np.ndindex(*counts.shape):
            axes.text(
                column,
                row,
                f"{counts[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if share[row, column] > 0.5 else "black",
            )
    return figure


def accuracy_by_length(
    lengths: Mapping[str, Mapping[str, Any]], bars: Mapping[str, float]
) -> Figure:
    """Macro accuracy against seconds of speech, with intervals, beside what was asked."""
    figure, axes = _axes()
    numbers = [cut for cut in bars if cut != "whole"]
    places = {cut: place for place, cut in enumerate([*numbers, "whole"])}
    names = {"joined": "that much speech", "clips": "clips as they are"}
    for number, (material, found) in enumerate(lengths.items()):
        cuts = [cut for cut in places if cut in found]
        if not cuts:
            continue
        middle = np.array([100 * found[cut]["accuracy"] for cut in cuts])
        ends = np.array([found[cut]["interval"] for cut in cuts]).T * 100
        at = [places[cut] + 0.08 * (number - 0.5) for cut in cuts]
        axes.errorbar(
            at,
            middle,
            np.maximum([middle - ends[0], ends[1] - middle], 0),
            fmt="o-",
            capsize=3,
            color=COLOURS[number],
            label=f"{names.get(material, material)}: languages",
        )
        strict = [100 * found[cut]["strict_accuracy"] for cut in cuts]
        axes.plot(
            at,
            strict,
            "s:",
            color=COLOURS[number],
            alpha=0.6,
            markersize=4,
            label=f"{names.get(material, material)}: strict",
        )
    axes.plot(
        list(places.values()),
        [100 * bars[cut] for cut in places],
        "_",
        color=GREY,
        markersize=18,
        label="asked",
    )
    axes.set_xticks(list(places.values()), [*(f"{cut} s" for cut in numbers), "whole"])
    axes.set_ylabel("macro accuracy, %")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    return figure


def reliability_diagram(reliability: Mapping[str, Any]) -> Figure:
    """Confidence against how often the answer was right; the area of a dot is its clips."""
    figure, axes = _axes(3.4, 4.2)
    count = np.array(reliability["count"], float)
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    axes.plot(reliability["confidence"], reliability["accuracy"], color=COLOURS[0], linewidth=1)
    axes.scatter(
        reliability["confidence"],
        reliability["accuracy"],
        s=10 + 250 * count / max(count.max(), 1),
        color=COLOURS[0],
        alpha=0.7,
    )
    axes.set(
        xlabel="confidence",
        ylabel="share that was right",
        title=f"calibration error {100 * reliability['error']:.1f} %",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    return figure


def unknown_roc(rows: Observations, calibration: Calibration) -> Figure:
    """How well languages that the model does not name are told from those that it does."""
    figure, axes = _axes(3.4, 4.2)
    score = unknown_score(rows, calibration)
    unknown = rows.language == OTHER
    groups = {
        "all others": np.ones(len(rows), bool),
        "Turkic": ~unknown | np.isin(rows.locale, sorted(TURKIC)),
    }
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    for number, (name, kept) in enumerate(groups.items()):
        area = auroc(unknown[kept], score[kept])
        if area is None:
            continue
        false, true, _ = roc_curve(unknown[kept], score[kept])
        axes.plot(false, true, color=COLOURS[number], label=f"{name}: {area:.3f}")
    axes.set(xlabel="known taken for unknown", ylabel="unknown found")
    axes.legend(frameon=False, title="AUROC", loc="lower right")
    return figure
