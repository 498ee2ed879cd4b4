"""The picture: switch lag and recall against false switches, the presets among naive rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langidd_training.decisions.tune import Point

_COLOURS: Final = {"fast": "#d95f02", "balanced": "#1b9e77", "steady": "#7570b3"}
_NAIVE: Final = "#444444"
_AXES: Final = (
    ("lag_median_s", "median switch lag (s of speech; misses count as never)"),
    ("recall_2s", "switches found within 2 s of speech (%)"),
)


def draw_picture(
    path: Path, swept: Sequence[Point], presets: Sequence[Point], naive: Sequence[Point]
) -> None:
    """Draw both trade-offs as PNG.

    Raises:
        ConfigError: matplotlib is not installed.

    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError("the picture needs matplotlib: pip install matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11.0, 5.0), dpi=100, sharey=True)
    for axis, (name, label) in zip(axes, _AXES, strict=True):
        _panel(axis, name, swept, presets, naive)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_yscale("symlog", linthresh=10.0)
    axes[0].set_ylim(bottom=0.0)
    axes[0].set_ylabel("false switches per hour of speech")
    axes[1].invert_xaxis()
    axes[1].legend(loc="upper right", fontsize=8)
    figure.suptitle("Langidd's filter against naive rules: down and left is better")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _panel(
    axis: Any, name: str, swept: Sequence[Point], presets: Sequence[Point], naive: Sequence[Point]
) -> None:
    finite = [
        point.figures[name]
        for point in (*swept, *presets, *naive)
        if math.isfinite(point.figures[name])
    ]
    border = max(finite, default=1.0) * 1.08

    def place(point: Point) -> tuple[float, float]:
        found = point.figures[name]
        return (found if math.isfinite(found) else border, point.figures["false_per_h"])

    if swept:
        horizontal, vertical = zip(*map(place, swept), strict=True)
        axis.scatter(horizontal, vertical, s=6, color="#a6cee3", label="the filter, other settings")
    for point in naive:
        axis.scatter(*place(point), s=40, marker="X", color=_NAIVE, zorder=3)
        suffix = " (never)" if math.isinf(point.figures[name]) else ""
        axis.annotate(
            point.name + suffix, place(point), fontsize=7, xytext=(4, 4),
            textcoords="offset points", color=_NAIVE,
        )  # fmt: skip
    for point in presets:
        axis.scatter(
            *place(point), s=90, marker="o", edgecolor="black", zorder=4,
            color=_COLOURS.get(point.name, "#000000"), label=point.name,
        )  # fmt: skip
