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
        typer.Option(
            metavar="DIR", help="Instead of --data: what --out wrote, after a calibration."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Checkpoint: a bundled name, a directory, a hub name.")
    ] = "uz-ru-en",
    split: Annotated[
        list[str] | None,
        typer.Option(help="dev (unset), test or any other NAME.tsv (repeatable)."),
    ] = None,
    seconds: Annotated[
        str,
        typer.Option(
            metavar="1,2,3,5", help="Lengths; short clips of a voice are joined to fill them."
        ),
    ] = "1,2,3,5",
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="WHISPER",
            help="A whole Whisper: a regression on its language tokens is a row beside the model.",
        ),
    ] = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Real noise to measure with, at 10 dB, 3 s."),
    ] = None,
    room: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Impulse responses of rooms to measure in, at 3 s."),
    ] = None,
    as_json: Annotated[  # noqa: FBT002 - typer makes a flag of it
        bool, typer.Option("--json", help="Print the figures of the lengths as one JSON object.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Directory for evaluation.json, .txt and scores.npz.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Also write the JSON to this file (a model's own).")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep logits here; unset: in OUT/cache, where --out is."),
    ] = None,
    languages: Annotated[str, typer.Option(help="The languages that count.")] = "uz,ru,en",
    limit: Annotated[
        int | None, typer.Option(help="At most so many clips a locale: quick, and less sure.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="auto (the checkpoint's), padded or trimmed.")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to OpenVINO.")] = 0,
) -> None:
    """Measure a checkpoint on speech of N seconds, every voice weighing the same.

    One table a split: lengths and conditions (telephone band, real noise, a real room) as rows,
    corpora as columns, the worst of them beside the mean, and a baseline beside the model.
    Exits with 0 whether or not the bars are met: the table says which are.

    **Examples**

        langidd-train evaluate --data speech --split foreign --seconds 1,2,3,5 --json
        langidd-train evaluate --data speech --split dev --split foreign
        --baseline openai/whisper-base --noise noise --room rooms --out evaluation
    """
    from langidd_training.data.decoding import recordings_of
    from langidd_training.decisions.report import table_console
    from langidd_training.evaluation.conditions import conditions
    from langidd_training.evaluation.evaluate import Plan, reread
    from langidd_training.evaluation.evaluate import evaluate as run
    from langidd_training.evaluation.figures import figures, split_figures
    from langidd_training.evaluation.results import rounded, write_results
    from langidd_training.report.tables import show

    lengths = _seconds(seconds)
    if (data is None) == (scores is None):
        raise typer.BadParameter("give either --data or --scores")
    if scores is not None:
        evaluation = reread(model, scores)
    else:
        plan = Plan(
            model=model,
            roots=tuple(data or ()),
            splits=tuple(split or ("dev",)),
            languages=tuple(languages.split(",")),
            cuts_s=lengths,
            conditions={}
            if as_json
            else conditions(recordings_of(noise or ()), recordings_of(room or ())),
            baseline=baseline,
            cache=cache or (out / "cache" if out is not None else None),
            limit=limit,
            context=_choice("context", context, "auto", "padded", "trimmed"),
            threads=threads,
        )
        evaluation = run(plan, lambda line: typer.echo(line, err=True))
    if as_json:
        by_split = {name: own["lengths"] for name, own in split_figures(evaluation).items()}
        shown = by_split if len(by_split) > 1 else next(iter(by_split.values()))
        typer.echo(json.dumps(rounded(shown), ensure_ascii=False))
        return
    found = figures(evaluation)
    found["limit"] = limit
    show(found, table_console())
    for place in (out, into):
        if place is not None:
            write_results(place, found, evaluation)


def _seconds(text: str) -> tuple[float, ...]:
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
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What `evaluate --out` wrote of this very checkpoint; its scores move along.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which split is fitted on.")] = "dev",
    languages: Annotated[str, typer.Option(help="The languages that count.")] = "uz,ru,en",
    biases: Annotated[  # noqa: FBT002 - typer makes a flag of it
        bool,
        typer.Option(help="Also balance the languages, by biases that go into the weights."),
    ] = True,
    context: Annotated[
        str, typer.Option(help="auto (what the checkpoint says), padded or trimmed.")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to OpenVINO.")] = 0,
) -> None:
    """Fit biases, temperatures and the `und` threshold; write them into the checkpoint."""
    from langidd.model.whisper.checkpoint import open_checkpoint
    from langidd_training.evaluation.calibrate import adjusted, fit, write_calibration
    from langidd_training.evaluation.evaluate import SCORES, Plan
    from langidd_training.evaluation.evaluate import evaluate as run
    from langidd_training.evaluation.observations import load_observations

    before = open_checkpoint(str(model))
    chosen = _choice("context", context, "auto", "padded", "trimmed")
    if scores is not None:
        table = load_observations(scores / SCORES)
    elif data:
        plan = Plan(
            model=str(model),
            roots=tuple(data),
            splits=(split,),
            languages=tuple(languages.split(",")),
            context=chosen,
            threads=threads,
        )
        table = run(plan, lambda line: typer.echo(line, err=True)).observations
    else:
        raise typer.BadParameter("give --data or --scores")
    found = fit(
        table.where(table.split == split),
        before.calibration,
        with_biases=biases and before.architecture.head == "language_tokens",
    )
    write_calibration(model, found, None if chosen == "auto" else chosen)
    if scores is not None:
        adjusted(table, found.biases).save(scores / SCORES)
    points = ", ".join(f"{value:.2f} at {at:g} s" for at, value in found.calibration.temperatures)
    moved = ", ".join(f"{language} {bias:+.2f}" for language, bias in found.biases.items())
    typer.echo(f"biases: {moved}")
    typer.echo(f"temperature: {points}")
    typer.echo(
        f"calibration error: {100 * found.error_before:.1f} % before, {100 * found.error:.1f} % "
        "after (fitted on the other half of the speakers)"
    )
    typer.echo(
        f"und below {found.calibration.und_threshold}: names {100 * found.accepted:.1f} % of "
        f"the languages it has right, rejects {100 * found.rejected:.1f} % of others"
    )


def _choice(name: str, given: str, *allowed: str) -> Any:
    if given not in allowed:
        raise typer.BadParameter(f"--{name} {given}: give one of {', '.join(allowed)}")
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
    notes: Annotated[
        Path | None, typer.Option(help="Markdown for the end of the card: data, licences.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called; unset: as the run.")
    ] = None,
) -> None:
    """Make one HTML page and a Markdown model card, with pictures."""
    from langidd_training.report.report import Material, write_report

    for path in write_report(Material(evaluation, run, store, notes), out, name=name):
        typer.echo(str(path))
