"""The commands that measure and describe: speak, evaluate, calibrate, report."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 30.0
"""Whisper's context."""


def register(app: typer.Typer) -> None:
    """Add the commands to `langidd-train`."""
    commands: list[Callable[..., None]] = [speak, evaluate, calibrate, report]
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
    workers: Annotated[int, typer.Option(help="Synthesisers at a time.")] = 2,
    engine: Annotated[
        str, typer.Option(help="espeak (one voice in all languages), or rhvoice (people's).")
    ] = "espeak",
) -> None:
    """Speak sentences in many languages with a synthesiser.

    With --catalogues: training speech (speeds and pitches drawn), by espeak-ng's one
    voice, or by RHVoice's, which a few languages have. Without: the evaluation's own
    sentences, the same in uz, ru, en, kk and tr.
    """
    from langidd_training.synthesis import rhvoice, synthetic

    by, source = synthetic.speak, synthetic.ESPEAK
    if engine == "rhvoice":
        if not catalogues or sentences is not None or variants is not None:
            raise ConfigError(
                "--engine rhvoice: give --catalogues to take sentences from, and neither "
                "--sentences nor --variants; all its free voices speak"
            )
        utterances = rhvoice.catalogue_utterances(
            catalogues, languages.split(","), per_language=per_language, seed=seed
        )
        by, source = rhvoice.speak, "rhvoice"
    elif engine != "espeak":
        raise ConfigError(f"--engine {engine}: is neither espeak nor rhvoice")
    elif catalogues:
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
        by=by,
        source=source,
    )
    for language in dict.fromkeys([*(languages.split(",") if catalogues else ()), *counts]):
        typer.echo(f"{language}\t{counts.get(language, 0)}")


def evaluate(  # noqa: PLR0917 - typer calls it by name
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Common Voice directories or manifests (repeatable)."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Instead of --data: scores.npz of this model, after a calibration."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Checkpoint: a bundled name, a directory, a hub name.")
    ] = "uz-ru-en",
    split: Annotated[
        str, typer.Option(help="dev, test or any other NAME.tsv beside the clips.")
    ] = "dev",
    seconds: Annotated[
        str | None,
        typer.Option(
            metavar="1,2,3,5",
            help="Only these lengths, short clips of a voice joined, voices weighing the same.",
        ),
    ] = None,
    as_json: Annotated[  # noqa: FBT002 - typer makes a flag of it
        bool, typer.Option("--json", help="With --seconds: print the figures as one JSON object.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Directory for evaluation.json, .txt and scores.npz.")
    ] = None,
    languages: Annotated[str, typer.Option(help="The languages that count.")] = "uz,ru,en",
    limit: Annotated[
        int | None, typer.Option(help="At most so many clips a locale: quick, and less sure.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="auto (the checkpoint's), padded or trimmed.")
    ] = "auto",
    kind: Annotated[
        str, typer.Option(help="auto, classifier, or tokens (Whisper's own language tokens).")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
    quick: Annotated[  # noqa: FBT002 - typer makes a flag of it
        bool, typer.Option("--quick", help="Only the lengths: no conditions, no checks.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(help="Also write the JSON to this file (a model's own).")
    ] = None,
) -> None:
    """Measure a checkpoint: lengths, conditions, corpora, unknown languages, checks.

    Exits with 0 whether or not the bars are met: the table says which are.
    """
    from langidd_training.decisions.report import table_console
    from langidd_training.evaluation.evaluate import CUTS_S, Plan, cut_name, reread
    from langidd_training.evaluation.evaluate import evaluate as ask
    from langidd_training.evaluation.figures import figures
    from langidd_training.evaluation.results import rounded, write_results
    from langidd_training.evaluation.voices import voice_figures
    from langidd_training.report.tables import show, show_voices

    lengths = _seconds(seconds)
    if as_json and lengths is None:
        raise typer.BadParameter("--json needs --seconds; the whole evaluation is written by --out")
    if (data is None) == (scores is None):
        raise typer.BadParameter("give either --data or --scores")
    plan = Plan(
        model=model,
        roots=tuple(data or ()),
        split=split,
        languages=tuple(languages.split(",")),
        limit=limit,
        context=_choice("context", context, "padded", "trimmed"),
        kind=_choice("kind", kind, "classifier", "tokens") or "auto",
        threads=threads,
        cuts_s=lengths or CUTS_S,
        clips_as_they_are=lengths is None,
        conditions=not quick and lengths is None,
        both_contexts=not quick and lengths is None,
        checks=not quick and lengths is None,
    )
    evaluation = (
        ask(plan, lambda line: typer.echo(line, err=True))
        if scores is None
        else reread(model, scores)
    )
    if lengths is not None:
        by_cut = rounded(voice_figures(evaluation, [cut_name(each) for each in lengths]))
        if as_json:
            typer.echo(json.dumps(by_cut, ensure_ascii=False))
        else:
            show_voices(by_cut, table_console())
        return
    found = figures(evaluation, split=split)
    found["limit"] = limit
    show(found, table_console())
    if out is not None:
        write_results(out, found, evaluation.observations)
    if into is not None:
        write_results(into, found)


def _seconds(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        lengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or not all(0 < length <= LONGEST_S for length in lengths):
        raise ConfigError(
            f"--seconds {text}: give lengths of at most {LONGEST_S:g} s with commas between them"
        )
    return lengths


def calibrate(  # noqa: PLR0917 - typer calls it by name
    model: Annotated[Path, typer.Option(help="Directory of the checkpoint to calibrate.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="Common Voice directories or manifests.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="scores.npz of an evaluation of this very checkpoint.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    unknown: Annotated[
        str, typer.Option(help="Labels that stand for no language, where the model has them.")
    ] = "other",
    context: Annotated[
        str, typer.Option(help="auto (what the checkpoint says), padded or trimmed.")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
) -> None:
    """Fit temperatures and the `und` threshold; write them into config.json."""
    from langidd_training.evaluation.calibrate import fit, write_calibration
    from langidd_training.evaluation.evaluate import Plan
    from langidd_training.evaluation.evaluate import evaluate as ask
    from langidd_training.evaluation.observations import load_observations

    chosen = _choice("context", context, "padded", "trimmed")
    if scores is not None:
        table = load_observations(scores)
    elif data:
        plan = Plan(
            model=str(model),
            roots=tuple(data),
            split=split,
            context=chosen,
            kind="classifier",
            threads=threads,
            conditions=False,
            both_contexts=False,
            checks=False,
        )
        table = ask(plan, lambda line: typer.echo(line, err=True)).observations
    else:
        raise typer.BadParameter("give --data or --scores")
    labels = [label for label in unknown.split(",") if label in table.labels]
    found = fit(table, labels)
    write_calibration(model, found.calibration, chosen)
    for question, points in (
        ("which language", found.calibration.temperatures),
        ("whether one of them", found.calibration.unknown_temperatures),
    ):
        said = ", ".join(f"{value:.2f} at {at:g} s" for at, value in points)
        typer.echo(f"temperature, {question}: {said or 'the same'}")
    typer.echo(
        f"calibration error: {100 * found.error_before:.1f} % before, {100 * found.error:.1f} % "
        "after (temperatures from the other half of the speakers)"
    )
    typer.echo(
        f"und below {found.calibration.und_threshold}: names {100 * found.accepted:.1f} % of "
        f"the languages it has right, rejects {100 * found.rejected:.1f} % of others"
    )


def _choice(name: str, given: str, *allowed: str) -> Any:
    """None for `auto`, what was given where it is allowed."""
    if given == "auto":
        return None
    if given not in allowed:
        raise typer.BadParameter(f"--{name} {given}: auto, {', '.join(allowed)}")
    return given


def report(  # noqa: PLR0917 - typer calls it by name
    evaluation: Annotated[
        Path, typer.Option(help="Directory that `evaluate --out` wrote, or its evaluation.json.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for report.html, README.md, pictures/.")],
    run: Annotated[
        Path | None, typer.Option(help="Training run: its curves and its recipe.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Prepared data: what the model was trained on.")
    ] = None,
    example: Annotated[
        Path | None, typer.Option(help="A clip, for the picture of what the model hears.")
    ] = None,
    notes: Annotated[
        Path | None, typer.Option(help="Markdown for the end of the card: data, licences.")
    ] = None,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="Evaluation of another model (repeatable).")
    ] = None,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "uz-ru-en",
) -> None:
    """Make one HTML page and a Markdown model card, with pictures."""
    import numpy as np

    from langidd_training.data.decoding import decode
    from langidd_training.report.report import Material, write_report

    heard = None
    if example is not None:
        samples = decode(example)[: 6 * 16_000].astype(np.float32) / np.float32(32_768)
        heard = (samples, f"Log-mel of {example.name}")
    material = Material(evaluation, run, store, heard, notes, tuple(baseline or ()))
    for path in write_report(material, out, name=name):
        typer.echo(str(path))
