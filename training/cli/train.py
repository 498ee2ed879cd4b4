"""The commands that make a model: revoice, prepare, teach, train, average, push."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd_training.data.corpus import Clip
    from langidd_training.data.store import Store

RunName = Annotated[str, typer.Argument(help="Name of the run: its files are in RUNS/NAME.")]
Runs = Annotated[Path, typer.Option(help="Directory of all runs.")]
Languages = Annotated[
    str | None,
    typer.Option(
        help="Languages the model is to name (uz,ru,en); all others are `other`. "
        "Unset: those that the data's directories are named for."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `langidd-train`."""
    commands: list[Callable[..., None]] = [revoice, prepare, teach, train, average, push]
    for command in commands:
        app.command()(command)


def revoice(  # noqa: PLR0917 - typer calls it by name
    out: Annotated[
        Path, typer.Argument(help="Directory for the speech, in Common Voice's layout.")
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Common Voice directory or manifest (path, language, speaker, split)."),
    ],
    languages: Languages = None,
    per_language: Annotated[int, typer.Option(help="Clips of each class.")] = 900,
    seed: Annotated[int, typer.Option(help="Draws clips and voices.")] = 17,
    workers: Annotated[int, typer.Option(help="Processes that work.")] = 2,
) -> None:
    """Give training clips of people other voices, by a vocoder (WORLD)."""
    from langidd_training.synthesis.vocoder import write_corpus

    clips = _clips(data, languages)
    counts = write_corpus(clips, out, per_language=per_language, seed=seed, workers=workers)
    for language, count in counts.items():
        typer.echo(f"{language}\t{count}")


def prepare(  # noqa: PLR0917 - typer calls it by name
    name: RunName,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Common Voice directory or manifest (path, language, speaker, split)."),
    ] = None,
    download: Annotated[
        list[str] | None,
        typer.Option(
            help="Language (uz) or data set id to get from Mozilla Data Collective; "
            "the key is read from MDC_API_KEY. Goes on where it was interrupted."
        ),
    ] = None,
    hub: Annotated[
        list[str] | None,
        typer.Option(
            help="Hub data set to stream: NAME[:CONFIGURATION[:LANGUAGE]]; its columns are "
            "`audio` and `language` unless LANGUAGE says the one language it is in."
        ),
    ] = None,
    hub_clips: Annotated[int, typer.Option(help="First clips of each hub split.")] = 1_000,
    runs: Runs = Path("runs"),
    languages: Languages = None,
    min_speech_s: Annotated[float, typer.Option(help="Drop clips with less speech.")] = 0.3,
    max_clip_s: Annotated[float, typer.Option(help="Keep so much of a clip.")] = 40.0,
    max_speaker_s: Annotated[float, typer.Option(help="Keep so much of a speaker.")] = 3600.0,
    workers: Annotated[int, typer.Option(help="Processes that decode.")] = 2,
) -> None:
    """Decode once, keep the speech, drop what is broken, silent or too short."""
    from langidd_training.data.prepare import Preparation
    from langidd_training.data.prepare import prepare as run

    roots = [*(data or [])]
    roots += [_downloaded(what, runs / name / "downloads") for what in download or []]
    for what in hub or []:
        roots += _streamed(what, runs / name / "hub", hub_clips)
    if not roots:
        raise ConfigError("nothing to prepare: give --data, --download or --hub")
    settings = Preparation(min_speech_s, max_clip_s, max_speaker_s, workers)
    clips = _clips(roots, languages)
    result = run(clips, runs / name, settings)
    typer.echo(f"{result.kept} clips kept of {len(clips)}; dropped: {result.dropped or 'none'}")
    for part, seconds in sorted(result.seconds.items()):
        typer.echo(f"{part}\t{seconds / 60:.1f} min")


def _clips(roots: Sequence[Path], languages: str | None) -> list[Clip]:
    """Read the data; a language that is asked for and is not there is an error."""
    from langidd_training.data.corpus import named_languages, read_corpora, require_languages

    chosen = named_languages(roots) if languages is None else languages.split(",")
    clips = read_corpora(roots, chosen)
    require_languages(clips, chosen, ", ".join(map(str, roots)))
    return clips


def _downloaded(what: str, directory: Path) -> Path:
    from langidd_training.data.download import download

    return download(what, directory)


def _streamed(what: str, directory: Path, clips: int) -> list[Path]:
    from rich.progress import Progress

    from langidd_training.data.hub import stream_from_hub

    dataset, configuration, language = (*what.split(":"), "", "")[:3]
    place = directory / what.replace("/", "--").replace(":", "-")
    manifests = []
    with Progress() as bar:
        for split in ("train", "validation"):
            task = bar.add_task(f"{what} {split}", total=clips)
            manifests.append(
                stream_from_hub(
                    dataset,
                    place,
                    split=split,
                    configuration=configuration or None,
                    language=f"={language}" if language else "language",
                    clips=clips,
                    progress=lambda done, task=task: bar.update(task, completed=done),  # type: ignore[misc]
                )
            )
    return manifests


def teach(
    name: RunName,
    checkpoint: Annotated[
        str, typer.Option(help="A whole Whisper, with its decoder: a hub name or a directory.")
    ] = "openai/whisper-base",
    runs: Runs = Path("runs"),
) -> None:
    """Ask a whole Whisper's language tokens about every clip (for a recipe with a teacher)."""
    from rich.progress import Progress

    from langidd_training.data.store import Store
    from langidd_training.fit.teacher import ask_teacher

    with Progress() as bar:
        task = bar.add_task("clips", total=None)
        ask_teacher(
            Store(runs / name),
            checkpoint,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def train(  # noqa: PLR0917 - typer calls it by name
    name: RunName,
    checkpoint: Annotated[
        str, typer.Option(help="Any Whisper: a hub name or a directory.")
    ] = "openai/whisper-base",
    data: Annotated[
        str, typer.Option(help="Run whose prepared data to use, where it is not this one.")
    ] = "",
    runs: Runs = Path("runs"),
    preset: Annotated[str, typer.Option(help="Recipe: default, or seed.")] = "default",
    languages: Languages = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the recipe's.")] = None,
    eval_steps: Annotated[int | None, typer.Option(help="Steps from check to check.")] = None,
    seed: Annotated[int, typer.Option(help="Draws batches and new weights.")] = 1,
    start_seed: Annotated[
        int | None,
        typer.Option(help="Draws the new weights instead; runs to be averaged share it."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that load and augment.")] = 1,
    search: Annotated[
        int, typer.Option(help="Instead of one training: so many short ones, by Optuna.")
    ] = 0,
) -> None:
    """Train, or go on after a kill; the packaged checkpoint is RUNS/NAME/model."""
    from langidd_training.data.store import Store
    from langidd_training.fit.presets import recipe
    from langidd_training.fit.train import build_trainer
    from langidd_training.fit.train import train as run

    directory = runs / name
    store = Store(runs / (data or name))
    chosen = recipe(preset, steps=steps, eval_steps=eval_steps)
    settings = {
        "checkpoint": checkpoint,
        "languages": _named(store, languages),
        "recipe": chosen,
        "seed": seed,
        "start_seed": start_seed,
        "workers": workers,
    }
    if search:
        from langidd_training.fit.search import search as look

        trainer = build_trainer(store, directory / "search", **settings)
        typer.echo(str(look(trainer, search, directory / "search.json")))
        return
    typer.echo(str(run(store, directory, **settings)))


def _named(store: Store, languages: str | None) -> list[str]:
    return list(store.languages) if languages is None else languages.split(",")


def average(  # noqa: PLR0917 - typer calls it by name
    name: RunName,
    run: Annotated[
        list[str],
        typer.Option(
            help="Run whose last checkpoint to take in (repeatable); NAME:3 counts three times."
        ),
    ],
    data: Annotated[str, typer.Option(help="Run whose prepared data they were trained on.")],
    checkpoint: Annotated[
        str, typer.Option(help="The Whisper that they began with: a hub name or a directory.")
    ] = "openai/whisper-base",
    runs: Runs = Path("runs"),
    preset: Annotated[str, typer.Option(help="Recipe that they were trained with.")] = "default",
    languages: Languages = None,
) -> None:
    """Average the weights of several runs of one start; RUNS/NAME/model is better than each."""
    from langidd_training.data.store import Store
    from langidd_training.fit.average import average as together
    from langidd_training.fit.presets import recipe

    weights = dict(map(_weighted, run))
    if len(weights) < len(run):
        raise ConfigError("--run: a run is named twice; write NAME:2 to let it count twice")
    store = Store(runs / data)
    packaged = together(
        store,
        {runs / one: weight for one, weight in weights.items()},
        runs / name,
        checkpoint=checkpoint,
        languages=_named(store, languages),
        recipe=recipe(preset),
    )
    typer.echo(str(packaged))


def _weighted(run: str) -> tuple[str, float]:
    name, _, said = run.partition(":")
    try:
        weight = float(said or 1)
    except ValueError:
        weight = 0.0
    if not 0 < weight < inf:
        raise ConfigError(f"--run {run}: {said!r} is no weight; write NAME or NAME:3")
    return name, weight


def push(
    model: Annotated[Path, typer.Argument(help="The packaged checkpoint, with its card.")],
    repository: Annotated[str, typer.Argument(help="USER/NAME on the hub.")],
    *,
    public: Annotated[bool, typer.Option(help="For everybody to see.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only look whether all is there.")] = False,
) -> None:
    """Upload a checkpoint and its card to the Hugging Face hub."""
    from langidd_training.fit.push import push as run

    for file in run(model, repository, private=not public, dry_run=dry_run):
        typer.echo(file)
