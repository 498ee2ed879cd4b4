"""`langidd-train score`: what the decisions are worth, on recordings whose truth is known."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from langidd.cli.flags import (
    Compute,
    ConfigFile,
    Languages,
    LogLevel,
    Model,
    Preset,
    Set,
    assignments,
    codes,
    nested,
)
from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd.config import Settings
    from langidd.service.stream import Rule
    from langidd.types import Calibration
    from langidd_training.decisions.replay import ScoredRecording
    from langidd_training.decisions.truth import Truth as TruthOf

Truth = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        help="RTTM (LANGUAGE lines) or TSV (start, end, language). Unset: beside each recording.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the model's scores here; the next run reads them."),
]

RULES = ("preset", "argmax", "lock", "majority")


def score(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RECORDING…", help="Recordings, or directories of them."),
    ] = None,
    *,
    truth: Truth = None,
    rule: Annotated[
        str,
        typer.Option(metavar="|".join(RULES), help="Who decides; the others are naive rules."),
    ] = "preset",
    languages: Languages = None,
    preset: Preset = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    cache: Cache = None,
    make_mix: Annotated[
        Path | None,
        typer.Option("--make-mix", metavar="DIR", help="Make test conversations here instead."),
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Labelled clips for --make-mix, Common Voice's layout."),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Which of its tables.")] = "dev",
    half: Annotated[
        str | None, typer.Option(metavar="a|b", help="Every second speaker only.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=1.0, help="Minutes of talk to make.")] = 60.0,
    nothing_minutes: Annotated[
        float, typer.Option(min=0.0, help="Minutes of noise, music, hum and silence to make.")
    ] = 60.0,
    music: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real music to use beside the made music.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another mix.")] = 0,
    model: Model = None,
    compute: Compute = None,
    config: ConfigFile = None,
    settings: Set = None,
    log_level: LogLevel = None,
) -> None:
    """Measure decisions on recordings whose truth is known, or make such recordings.

    Recordings go at full speed through the same parts that listen to microphones.

    **Examples**

        langidd-train score --make-mix mix --speech cv --minutes 60 --seed 1
        langidd-train score mix --cache scores --preset steady
        langidd-train score meeting.wav --truth meeting.rttm --json
    """
    if make_mix is not None:
        _make(
            make_mix,
            speech,
            split=split,
            half=half,
            minutes=minutes,
            nothing_minutes=nothing_minutes,
            music=music,
            seed=seed,
        )
        return
    if not recordings:
        raise ConfigError("score: give recordings, or a directory of them (or --make-mix DIR)")
    if rule not in RULES:
        raise ConfigError(f"--rule {rule}: give one of {', '.join(RULES)}")
    from langidd_training.decisions.report import as_object, table_console, tables
    from langidd_training.decisions.tune import Material, tallies

    loaded = load(
        config,
        {
            **assignments(settings),
            "model.path": model,
            "model.device": compute,
            "decision.preset": preset,
            "log.level": log_level or "warning",
        },
    )
    scored, truths, calibration = score_recordings(recordings, truth, loaded, cache)
    make_rule = _rule(rule, calibration, loaded, codes(languages))
    results = tallies(Material(tuple(scored), tuple(truths), calibration), make_rule)
    if as_json:
        typer.echo(json.dumps(as_object(results), ensure_ascii=False))
        return
    console = table_console()
    for table in tables(results):
        console.print(table)


def load(config: Path | None, flags: dict[str, Any]) -> Settings:
    """Read the settings, flags over the file, and set up the log."""
    from langidd.config import load_settings
    from langidd.observability.logging import configure_logs

    loaded = load_settings(config, nested(flags))
    configure_logs(loaded.log, loaded.secrets())
    return loaded


def score_recordings(
    paths: Sequence[Path], truth: Path | None, settings: Settings, cache: Path | None
) -> tuple[list[ScoredRecording], list[TruthOf], Calibration]:
    """Score all recordings, with a progress bar: the scores, the truths, the calibration."""
    from langidd.model.registry import open_model
    from langidd_training.data.fingerprint import model_fingerprint
    from langidd_training.data.progress import progress_bar
    from langidd_training.decisions.replay import Replay, recordings
    from langidd_training.decisions.truth import find_truth, read_truth

    files = [file for path in paths for file in recordings(path)]
    if not files:
        raise ConfigError(f"score: no recordings in {', '.join(map(str, paths))}")
    truths = [read_truth(find_truth(file, truth), file.stem) for file in files]
    model = open_model(settings.model)
    asyncio.run(model.start())
    fingerprint = model_fingerprint(settings.model.path)
    replay = Replay(model, fingerprint, settings.vad, settings.windows, cache=cache)
    scored = []
    with progress_bar("recordings", len(files)) as advance:
        for file in files:
            scored.append(replay.score(file))
            advance(1)
    asyncio.run(model.close())
    return scored, truths, model.info().calibration


def _rule(
    rule: str, calibration: Calibration, settings: Settings, candidates: list[str] | None
) -> Callable[[str], Rule]:
    from langidd.decision.decider import Decider
    from langidd_training.decisions.naive import ArgMax, LockOnFirst, MajorityOfLast

    if rule == "preset":
        numbers = settings.decision.decider()
        return lambda name: Decider(name, calibration, numbers, candidates=candidates)
    naive = {"argmax": ArgMax, "lock": LockOnFirst, "majority": MajorityOfLast}[rule]
    return lambda name: naive(name, calibration)


def _make(
    out: Path,
    speech: Path | None,
    *,
    split: str,
    half: str | None,
    minutes: float,
    nothing_minutes: float,
    music: Path | None,
    seed: int,
) -> None:
    if speech is None or not speech.is_dir():
        raise ConfigError("--make-mix: name a directory of labelled clips with --speech DIR")
    if half not in (None, "a", "b"):
        raise ConfigError(f"--half {half}: give a or b")
    from langidd_training.data.progress import progress_bar
    from langidd_training.decisions.clips import read_clips
    from langidd_training.decisions.mix import MixSettings, make_mix
    from langidd_training.decisions.replay import recordings

    clips = read_clips(speech, split, cast("Literal['a', 'b'] | None", half))
    mix = MixSettings(minutes=minutes, nothing_minutes=nothing_minutes, seed=seed)
    songs = recordings(music) if music is not None else []
    done = 0.0
    with progress_bar("mixing", 100) as advance:

        def on_recording(share: float) -> None:
            nonlocal done
            advance(100.0 * (share - done))
            done = share

        count = make_mix(clips, out, mix, songs=songs, on_recording=on_recording)
    typer.echo(f"{count} recordings with their truth are in {out}")
