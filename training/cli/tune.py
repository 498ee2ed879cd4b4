"""`langidd-train tune`: sweep the decider's numbers over recordings whose truth is known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langidd.cli.flags import Compute, ConfigFile, LogLevel, Model, Set, assignments
from langidd_training.cli.score import Cache, Truth, load, score_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.decisions.tune import Point


def tune(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING…", help="Recordings, or directories of them.")
    ],
    *,
    truth: Truth = None,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="The trade-off as PNG.")] = Path(
        "tune.png"
    ),
    table: Annotated[Path, typer.Option(metavar="FILE", help="All points as TSV.")] = Path(
        "tune.tsv"
    ),
    samples: Annotated[int, typer.Option(min=0, help="How many settings to try.")] = 300,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    seed: Annotated[int, typer.Option(help="Other settings for another seed.")] = 0,
    cache: Cache = None,
    model: Model = None,
    compute: Compute = None,
    config: ConfigFile = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Draw what the decider's numbers buy: switch lag against false switches.

    The presets and naive rules (raw arg-max, lock on the first confident window,
    majority of the last five) are on the same picture and in the same table.

    **Examples**

        langidd-train tune mix --cache scores
        langidd-train tune mix --cache scores --samples 1000 --picture tradeoff.png
    """
    from langidd.decision.decider import Decider
    from langidd.decision.presets import PRESETS
    from langidd_training.data.progress import progress_bar
    from langidd_training.decisions.picture import draw_picture
    from langidd_training.decisions.tune import (
        Material,
        decider_points,
        draw,
        fit_confidence,
        naive_points,
        shortfall,
        tallies,
    )
    from langidd_training.decisions.tune import table as as_table

    loaded = load(
        config,
        {
            **assignments(settings),
            "model.path": model,
            "model.device": compute,
            "log.level": log_level or "warning",
        },
    )
    scored, truths, calibration = score_recordings(recordings, truth, loaded, cache)
    material = Material(tuple(scored), tuple(truths), calibration)
    naive = naive_points(material)
    candidates = [*PRESETS.items()]
    candidates += [(f"sample {index + 1}", one) for index, one in enumerate(draw(samples, seed))]
    points: list[Point] = []
    with progress_bar("settings", len(candidates)) as advance:
        for point in decider_points(material, candidates, jobs or os.cpu_count() or 1):
            points.append(point)
            advance(1)
    presets, swept = points[: len(PRESETS)], points[len(PRESETS) :]
    swept.sort(key=lambda point: (shortfall(point.figures), point.figures["false_per_h"]))
    table.write_text(as_table([*presets, *naive, *swept]), encoding="utf-8")
    draw_picture(picture, swept, presets, naive)
    _show([*presets, *naive, *swept[:5]])
    for name, numbers in PRESETS.items():
        plain = replace(numbers, confidence_slope=1.0)
        results = tallies(material, lambda source, plain=plain: Decider(source, calibration, plain))  # type: ignore[misc]
        named = [decision for one in results for decision in one.named]
        if named:
            typer.echo(f"{name}: confidence_slope {fit_confidence(named):.3f} fits")
    typer.echo(f"{len(points)} settings: {picture}, {table}")


def _show(points: Sequence[Point]) -> None:
    from rich.table import Table

    from langidd_training.decisions.report import number, table_console
    from langidd_training.decisions.tune import FIGURES

    shown = Table("rule")
    for name, _, _ in FIGURES:
        shown.add_column(name.replace("_", " "), justify="right")
    for point in points:
        shown.add_row(point.name, *(number(point.figures[name]) for name, _, _ in FIGURES))
    table_console().print(shown)
