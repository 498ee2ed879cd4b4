"""`langidd classify`: the languages of recordings."""

from __future__ import annotations

import asyncio
import csv
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langidd.cli.flags import (
    Compute,
    ConfigFile,
    Languages,
    LogLevel,
    Model,
    Preset,
    Set,
    Track,
    codes,
    overrides,
)
from langidd.cli.terminal import json_line, path_text
from langidd.errors import ConfigError, LangiddError, printable
from langidd.types import NO_SPEECH, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langidd.config import Settings
    from langidd.service.offline import FileResult


def classify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings in any format.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file, each on its own line.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with a header, one row per span of a language.")
    ] = False,
    track: Track = None,
    languages: Languages = None,
    preset: Preset = None,
    model: Model = None,
    compute: Compute = None,
    config: ConfigFile = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Report which languages are spoken in recordings, and when.

    A file that cannot be read, or only in part, is reported on standard error. The other
    files are still classified, and the exit status is 1.

    **Examples**

        langidd classify interview.m4a
        langidd classify *.ogg --languages uz,ru --csv > languages.csv
        langidd classify meeting.mp4 --json | jq .spans
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv are both given; choose one")
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs

    flags = overrides(settings, log_level=log_level, model=model, compute=compute, preset=preset)
    loaded = load_settings(config, flags, defaults={"log": {"level": "warning"}})
    configure_logs(loaded.log, loaded.secrets())
    failed = [file for file in files if not _can_be_opened(file)]
    there = [file for file in files if file not in failed]
    results = _results(there, loaded, codes(languages), track, failed) if there else iter(())
    if as_json:
        for result in results:
            typer.echo(json_line(_as_object(result)))
    elif as_csv:
        _write_csv(results)
    else:
        _show_table(list(results))
    if failed:
        raise typer.Exit(1)


def _results(
    files: Sequence[Path],
    settings: Settings,
    candidates: list[str] | None,
    track: str | None,
    failed: list[Path],
) -> Iterator[FileResult]:
    """Classify one file after another; report one that fails at once, and add it to `failed`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from langidd.model.registry import open_model
    from langidd.service.offline import classify_file
    from langidd.speech.vad_worker import VadWorker

    model, vad_worker = open_model(settings.model), VadWorker()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with (
        asyncio.Runner() as runner,
        Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("loading the model", total=len(files))
        runner.run(model.start())
        for file in files:
            bar.update(task, description=printable(file.name))
            try:
                result = runner.run(
                    classify_file(
                        file, model, vad_worker, settings, candidates=candidates, track=track
                    )
                )
                if result.fault:
                    failed.append(file)
                    _tell(file, result.fault)
                yield result
            except ConfigError:
                # It applies to every file.
                raise
            except LangiddError as error:
                failed.append(file)
                _tell(file, str(error))
            bar.advance(task)
        vad_worker.close()
        runner.run(model.close())


def _can_be_opened(file: Path) -> bool:
    """Check before the model is loaded, and report what is wrong."""
    try:
        with file.open("rb"):
            return True
    except OSError as error:
        _tell(file, error.strerror or type(error).__name__)
        return False


def _tell(file: Path, text: str) -> None:
    from langidd.observability.logging import final_line

    name = printable(file.name)
    typer.echo(final_line(text if name in text else f"{printable(str(file))}: {text}"), err=True)


def _as_object(result: FileResult) -> dict[str, Any]:
    return {
        "file": path_text(result.path),
        "language": result.language,
        "confidence": round(result.confidence, 4),
        "speech_s": round(result.speech_s, 3),
        "duration_s": round(result.duration_s, 3),
        "spans": [
            {
                "start_s": round(start_s, 3),
                "end_s": round(end_s, 3),
                "language": language,
                "confidence": round(confidence, 4),
            }
            for start_s, end_s, language, confidence in result.spans
        ],
        **({"fault": result.fault} if result.fault else {}),
    }


def _write_csv(results: Iterator[FileResult]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "start_s", "end_s", "language", "confidence", "file_language"])
    for result in results:
        for start_s, end_s, language, confidence in result.spans:
            row = (f"{start_s:.3f}", f"{end_s:.3f}", language, f"{confidence:.4f}")
            writer.writerow([path_text(result.path), *row, result.language])
        sys.stdout.flush()


def _show_table(results: list[FileResult]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from langidd.cli.timeline import legend, timeline

    if not results:
        return
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("file", "language", "confidence", "speech", "length"):
        table.add_column(heading, justify="left" if heading in {"file", "language"} else "right")
    for result in results:
        table.add_row(
            Text(printable(result.path.name), overflow="fold"),
            result.language,
            _percent(result.language, result.confidence),
            minutes(result.speech_s),
            minutes(result.duration_s),
        )
    console.print(table)
    width = min(console.width - 14, 100)
    for result in results:
        if not result.spans:
            continue
        console.print()
        console.print(Text(printable(result.path.name), style="bold"))
        console.print(
            Text("0:00 ").append_text(timeline(result.spans, result.duration_s, width)),
            minutes(result.duration_s),
            highlight=False,
            soft_wrap=True,
        )
        console.print(Text("     ").append_text(legend(result.spans)))
        for start_s, end_s, language, confidence in result.spans:
            console.print(
                f"     {minutes(start_s)} – {minutes(end_s)}  {language:<4} "
                f"{_percent(language, confidence)}",
                highlight=False,
            )


def _percent(language: str, confidence: float) -> str:
    """Return how sure a language is; of `und` and `zxx` there is nothing to be sure of."""
    return "" if language in {UNCERTAIN, NO_SPEECH} else f"{confidence:4.0%}"


def minutes(seconds: float) -> str:
    """Return `1:02:03` or `2:03`."""
    hours, rest = divmod(round(seconds), 3600)
    whole, left = divmod(rest, 60)
    return f"{hours}:{whole:02d}:{left:02d}" if hours else f"{whole}:{left:02d}"
