"""The commands that make a model: prepare, teach, train, average, push."""

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
    commands: list[Callable[..., None]] = [prepare, teach, train, average, push]
    for command in commands:
        app.command()(command)


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
    from langidd_training.data.hub import stream_from_hub
    from langidd_training.data.progress import progress_bar

    dataset, configuration, language = (*what.split(":"), "", "")[:3]
    place = directory / what.replace("/", "--").replace(":", "-")
    manifests = []
    for split in ("train", "validation"):
        with progress_bar(f"{what} {split}", clips) as advance:
            manifests.append(
                stream_from_hub(
                    dataset,
                    place,
                    split=split,
                    configuration=configuration or None,
                    language=f"={language}" if language else "language",
                    clips=clips,
                    progress=lambda _done, advance=advance: advance(1),  # type: ignore[misc]
                )
            )
    return manifests


def teach(
    name: RunName,
    checkpoint: Annotated[
        str,
        typer.Option(
            help="A whole Whisper of any size, or a model of this recipe: hub name or DIR."
        ),
    ] = "openai/whisper-base",
    runs: Runs = Path("runs"),
    *,
    every_clip: Annotated[
        bool,
        typer.Option(
            "--every-clip",
            help="Ask about every clip (for a recipe that distils), not about languages that "
            "have no token alone.",
        ),
    ] = False,
) -> None:
    """Ask a whole Whisper for its language probabilities: the targets where labels are not."""
    from langidd_training.data.progress import progress_bar
    from langidd_training.data.store import Store
    from langidd_training.fit.teacher import ask_teacher

    done = 0.0
    with progress_bar("passages", 1.0) as advance:

        def progress(so_far: int, total: int) -> None:
            nonlocal done
            advance(so_far / total - done)
            done = so_far / total

        asked = ask_teacher(
            Store(runs / name), checkpoint, every_clip=every_clip, progress=progress
        )
    typer.echo(f"the teacher answered about {asked} passages")


def train(  # noqa: PLR0917 - typer calls it by name
    name: RunName,
    checkpoint: Annotated[
        str, typer.Option(help="The Whisper to start from, of any size: a hub name or a directory.")
    ] = "openai/whisper-base",
    data: Annotated[
        str, typer.Option(help="Run whose prepared data to use, where it is not this one.")
    ] = "",
    runs: Runs = Path("runs"),
    preset: Annotated[str, typer.Option(metavar="default|small|seed", help="Recipe.")] = "default",
    languages: Languages = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE|DIR", help="Recordings of noise, for augmentation (repeatable)."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the recipe's.")] = None,
    eval_steps: Annotated[int | None, typer.Option(help="Steps from check to check.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the batches.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that draw and augment.")] = 1,
    search: Annotated[
        int, typer.Option(help="Instead of one training: so many short ones, by Optuna.")
    ] = 0,
) -> None:
    """Train, or go on after a kill; the exported checkpoint is RUNS/NAME/model."""
    from langidd_training.data.decoding import recordings_of
    from langidd_training.data.store import Store
    from langidd_training.fit.presets import recipe
    from langidd_training.fit.train import build_trainer
    from langidd_training.fit.train import train as run

    directory = runs / name
    store = Store(runs / (data or name))
    settings = {
        "checkpoint": checkpoint,
        "languages": _named(store, languages),
        "recipe": recipe(preset, steps=steps, eval_steps=eval_steps),
        "noises": recordings_of(noise or ()),
        "seed": seed,
        "workers": workers,
        "say": typer.echo,
    }
    if search:
        from langidd_training.fit.search import search as look

        trainer = build_trainer(store, directory / "search", **settings)
        typer.echo(str(look(trainer, search, directory / "search.json")))
        return
    typer.echo(str(run(store, directory, **settings)))


def _named(store: Store, languages: str | None) -> list[str]:
    return list(store.languages) if languages is None else languages.split(",")


def average(
    name: RunName,
    run: Annotated[
        list[str],
        typer.Option(
            metavar="RUN|MODEL[:WEIGHT]",
            help="Run, or checkpoint, to take in (repeatable); NAME:3 counts three times.",
        ),
    ],
    runs: Runs = Path("runs"),
    languages: Annotated[
        str, typer.Option(help="Languages that come first among the labels.")
    ] = "uz,ru,en",
) -> None:
    """Average the weights of several runs of one start (a model soup) into RUNS/NAME/model."""
    from langidd_training.fit.average import average as together

    weights: dict[str, float] = {}
    for one in run:
        named, weight = _weighted(one)
        place = runs / named / "model"
        checkpoint = str(place) if place.is_dir() else named
        if checkpoint in weights:
            raise ConfigError("--run: a run is named twice; write NAME:2 to let it count twice")
        weights[checkpoint] = weight
    typer.echo(str(together(weights, runs / name / "model", languages=languages.split(","))))


def _weighted(run: str) -> tuple[str, float]:
    name, _, given = run.partition(":")
    try:
        weight = float(given or 1)
    except ValueError:
        weight = 0.0
    if not 0 < weight < inf:
        raise ConfigError(f"--run {run}: {given!r} is no weight; write NAME or NAME:3")
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
