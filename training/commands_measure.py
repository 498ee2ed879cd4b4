"""The commands that measure and describe: speak, evaluate, calibrate, report."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def register(app: typer.Typer) -> None:
    """Add the commands to `langidd-train`."""
    commands: list[Callable[..., None]] = [speak]
    for command in commands:
        app.command()(command)


def speak(  # noqa: PLR0917 - typer calls it by name
    out: Annotated[
        Path, typer.Argument(help="Directory for the speech, in Common Voice's layout.")
    ],
    catalogues: Annotated[
        list[Path] | None,
        typer.Option(help="Directory of gettext catalogues to take sentences from (repeatable)."),
    ] = None,
    sentences: Annotated[
        Path | None,
        typer.Option(help="TSV with a column a language, every sentence spoken by every voice."),
    ] = None,
    languages: Annotated[
        str, typer.Option(help="Languages to speak from the catalogues, by espeak-ng's codes.")
    ] = "uz,ru,en,az,kk,ky,tr,tt,tk,ug",
    variants: Annotated[
        str | None,
        typer.Option(help="Voice variants; training's are m1,m2,f1,f2,m4, evaluation's ,m3,f3."),
    ] = None,
    per_language: Annotated[int, typer.Option(help="Utterances a language.")] = 300,
    split: Annotated[str, typer.Option(help="Name of the split: train, dev or test.")] = "",
    targets: Annotated[
        str, typer.Option(help="Languages with a directory of their own; the rest are other/.")
    ] = "uz,ru,en",
    seed: Annotated[int, typer.Option(help="Draws sentences, speeds and pitches.")] = 17,
    workers: Annotated[int, typer.Option(help="espeak-ng processes at a time.")] = 2,
) -> None:
    """Speak sentences in many languages with espeak-ng's one voice.

    With --catalogues: training speech (speeds and pitches drawn). Without: the
    evaluation's own sentences, the same in uz, ru, en, kk and tr.
    """
    from training import synthetic

    if catalogues:
        utterances = synthetic.catalogue_utterances(
            catalogues,
            languages.split(","),
            per_language=per_language,
            variants=variants.split(",") if variants is not None else synthetic.TRAINING_VARIANTS,
            seed=seed,
        )
    else:
        utterances = synthetic.evaluation_utterances(
            synthetic.parallel_sentences(sentences),
            variants.split(",") if variants is not None else synthetic.EVALUATION_VARIANTS,
        )
    counts = synthetic.write_corpus(
        utterances,
        out,
        split=split or ("train" if catalogues else "dev"),
        targets=targets.split(","),
        workers=workers,
    )
    for language, count in counts.items():
        typer.echo(f"{language}\t{count}")
