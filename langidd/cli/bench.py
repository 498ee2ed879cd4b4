"""`langidd bench`: how fast this machine is, and how many sources it carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from langidd.cli.flags import Compute, LogLevel, Model, Set, overrides

if TYPE_CHECKING:
    from langidd.bench.report import Report


def bench(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    step_s: Annotated[
        float,
        typer.Option(
            "--step", min=2.0, max=60.0, help="Seconds for which each number of sources plays."
        ),
    ] = 15.0,
    model: Model = None,
    compute: Compute = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Measure how fast the model is here, and how many live sources this machine carries.

    Takes five to ten minutes. First the stages one by one, on noise. Then the whole pipeline:
    more and more sources play the demo's conversation at the clock's pace, until one in a
    hundred decisions comes over 250 ms (on a GPU: 100 ms) after its sound, or a window is
    dropped. Other work on this machine makes all figures worse.

    **Examples**

        langidd bench
        langidd bench --json --set model.precision=f32
    """
    from langidd.bench.report import measure
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs

    flags = overrides(settings, log_level=log_level, model=model, compute=compute)
    loaded = load_settings(None, flags, defaults={"log": {"level": "error"}})
    configure_logs(loaded.log, loaded.secrets())
    report = measure(loaded.model, say=lambda text: typer.echo(text, err=True), step_s=step_s)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        _print(report)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    figures = report.as_json()
    console = Console()
    busy = "" if report.load_average is None else f", load {report.load_average:.1f} at the start"
    console.print(
        f"{report.model} on {report.device} in {report.precision}, {report.cores} cores{busy}"
    )
    table = Table(
        "windows a second, log-mel included", *(_batch(each) for each in _batches(report))
    )
    for length_s in dict.fromkeys(length for _, length in report.scored):
        speeds = (report.scored[batch, length_s] for batch in _batches(report))
        table.add_row(f"{length_s:g} s", *(f"{speed:.0f}" for speed in speeds))
    console.print(table)
    if report.stages is not None:
        stages = report.stages
        table = Table("stage", "")
        table.add_row("log-mel, 2 s, one core", f"{stages.log_mel_ms:.2f} ms")
        for sources, milliseconds in stages.vad_ms.items():
            text = f"voice activity, 1 s of sound, {sources} at a time"
            table.add_row(text, f"{milliseconds:.2f} ms")
        peak = f"{stages.matmul_flops_per_s / 1e9:.0f} GFLOP/s"
        table.add_row(f"matrix products in {stages.precision}", peak)
        for each in stages.passes:
            text = f"encoder, {each.length_s:g} s, {_batch(each.batch)}"
            speed = f"{each.windows_per_s:.0f}/s, {each.share_of_matmul:.0%} of them"
            table.add_row(text, speed)
        console.print(table)
    table = Table("sources", "windows/s", "median", "99 %", "dropped", "cores", "memory")
    for load in report.loads:
        table.add_row(
            str(load.sources),
            f"{load.windows_per_s:.1f}",
            f"{load.median_ms:.0f} ms",
            f"{load.p99_ms:.0f} ms",
            str(load.dropped),
            f"{load.cores:.2f}",
            f"{load.memory_mb:.0f} MB",
        )
    console.print(table)
    console.print(
        f"{figures['sources']} sources within {report.limit_ms:.0f} ms: "
        f"{figures['sources_per_core']:.1f} a core"
    )


def _batches(report: Report) -> list[int]:
    return list(dict.fromkeys(batch for batch, _ in report.scored))


def _batch(windows: int) -> str:
    return f"batch of {windows}"
