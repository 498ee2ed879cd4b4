"""The commands that make a model: prepare, train, push."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

RunName = Annotated[str, typer.Argument(help="Name of the run: its files are in RUNS/NAME.")]
Runs = Annotated[Path, typer.Option(help="Directory of all runs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `langidd-train`."""
    commands: list[Callable[..., None]] = [prepare, train]
    for command in commands:
        app.command()(command)


def prepare(
    name: RunName,
    data: Annotated[
        list[Path],
        typer.Option(help="Common Voice directory or manifest (path, language, speaker, split)."),
    ],
    runs: Runs = Path("runs"),
    languages: Annotated[
        str, typer.Option(help="Languages the model is to name; all others are `other`.")
    ] = "uz,ru,en",
    min_speech_s: Annotated[float, typer.Option(help="Drop clips with less speech.")] = 0.5,
    max_clip_s: Annotated[float, typer.Option(help="Keep so much of a clip.")] = 40.0,
    max_speaker_s: Annotated[float, typer.Option(help="Keep so much of a speaker.")] = 3600.0,
    workers: Annotated[int, typer.Option(help="Processes that decode.")] = 2,
) -> None:
    """Decode once, keep the speech, drop what is broken, silent or too short."""
    from training.corpus import read_corpora
    from training.prepare import Preparation
    from training.prepare import prepare as run

    settings = Preparation(min_speech_s, max_clip_s, max_speaker_s, workers)
    clips = read_corpora(data, languages.split(","))
    result = run(clips, runs / name, settings)
    typer.echo(f"{result.kept} clips kept of {len(clips)}; dropped: {result.dropped or 'none'}")
    for part, seconds in sorted(result.seconds.items()):
        typer.echo(f"{part}\t{seconds / 60:.1f} min")


def train(
    name: RunName,
    checkpoint: Annotated[
        str, typer.Option(help="Any Whisper: a hub name or a directory.")
    ] = "openai/whisper-base",
    data: Annotated[
        str, typer.Option(help="Run whose prepared data to use, where it is not this one.")
    ] = "",
    runs: Runs = Path("runs"),
    preset: Annotated[str, typer.Option(help="Recipe: default, or seed.")] = "default",
    languages: Annotated[str, typer.Option(help="Languages the model is to name.")] = "uz,ru,en",
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the recipe's.")] = None,
    eval_steps: Annotated[int | None, typer.Option(help="Steps from check to check.")] = None,
    seed: Annotated[int, typer.Option(help="Draws batches and new weights.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that load and augment.")] = 1,
) -> None:
    """Train, or go on after a kill; the packaged checkpoint is RUNS/NAME/model."""
    from training.presets import recipe
    from training.store import Store
    from training.train import train as run

    directory = runs / name
    directory.mkdir(parents=True, exist_ok=True)
    packaged = run(
        Store(runs / (data or name)),
        directory,
        checkpoint=checkpoint,
        languages=languages.split(","),
        recipe=recipe(preset, steps=steps, eval_steps=eval_steps),
        seed=seed,
        workers=workers,
    )
    typer.echo(str(packaged))
