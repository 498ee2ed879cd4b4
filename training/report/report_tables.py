"""The tables of a report: rows of text, the first of them the head."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langidd_training.evaluation.bars import ACCURACY_BARS
from langidd_training.report.tables import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd_training.data.store import Store


def _between(interval: Sequence[float] | None) -> str:
    return f"{percent(interval[0])}-{percent(interval[1])}" if interval else ""


def bar_table(bars: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows of the bars: asked, got, met."""
    rows = [["", "asked, %", "got", "95 %", "strict", "clips as they are", "strict", "met"]]
    for bar in bars:
        relation, _, needed = bar["needed"].partition(" ")
        sign = "≥" if relation == ">=" else "≤"
        rows.append(
            [
                *(bar["bar"], f"{sign} {percent(float(needed))}", percent(bar["got"])),
                _between(bar.get("interval")),
                *(percent(bar.get(key)) for key in ("strict", "clips", "clips_strict")),
                "yes" if bar["met"] else "no",
            ]
        )
    return rows


def length_table(figures: dict[str, Any]) -> list[list[str]]:
    """Rows by material and cut: accuracies, recalls, how many."""
    languages = figures["languages"]
    rows = [["passages", "clips", "languages", "95 %", *languages, "strict", "F1", "open F1"]]
    for material, lengths in figures["lengths"].items():
        for cut, found in lengths.items():
            rows.append(
                [
                    f"{material}, {cut}" + ("" if cut == "whole" else " s"),
                    str(sum(found["clips"][name] for name in languages)),
                    percent(found["accuracy"]),
                    _between(found["interval"]),
                    *(percent(found["recall"].get(name)) for name in languages),
                    *(percent(found[key]) for key in ("strict_accuracy", "f1", "open_f1")),
                ]
            )
    return rows


def baseline_table(models: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows by model: accuracy on clips as they are at each cut, languages / strict."""
    cuts = list(ACCURACY_BARS)
    rows = [["model", "context", *(cut if cut == "whole" else f"{cut} s" for cut in cuts)]]
    for figures in models:
        found = figures["lengths"]["clips"]
        few = f" ({figures['limit']} clips a language)" if figures.get("limit") else ""
        rows.append(
            [
                Path(figures["model"]).name + few,
                figures["context"],
                *(
                    f"{percent(found[cut]['accuracy'])} / {percent(found[cut]['strict_accuracy'])}"
                    if cut in found
                    else "-"
                    for cut in cuts
                ),
            ]
        )
    return rows


def condition_table(figures: dict[str, Any]) -> list[list[str]]:
    """Rows by material and condition, and padded against trimmed."""
    languages = figures["languages"]
    rows = [["passages", "languages", "95 %", *languages, "strict"]]
    for material, conditions in figures["conditions"].items():
        for name, found in conditions.items():
            rows.append(
                [
                    f"{material}, {name}",
                    percent(found["accuracy"]),
                    _between(found["interval"]),
                    *(percent(found["recall"].get(language)) for language in languages),
                    percent(found["strict_accuracy"]),
                ]
            )
    for material, contexts in figures["contexts"].items():
        for name in ("trimmed", "padded") if contexts else ():
            found = contexts[name]
            rows.append(
                [
                    f"{material}, {name}",
                    percent(found["accuracy"]),
                    *([""] * (1 + len(languages))),
                    percent(found["strict_accuracy"]),
                ]
            )
    return rows


def other_table(figures: dict[str, Any]) -> list[list[str]]:
    """Rows by locale: what it is called."""
    names = [*figures["languages"], "other"]
    return [
        ["spoken", "clips", *(f"called {name}" for name in names), "rejected, %", "AUROC"],
        *(
            [
                *(locale, str(found["clips"])),
                *(str(found["called"][name]) for name in names),
                *(percent(found["rejected"]), percent(found["auroc"])),
            ]
            for locale, found in figures["others"].items()
        ),
    ]


def corpus_table(figures: dict[str, Any]) -> list[list[str]]:
    """Rows by corpus."""
    return [
        ["corpus", "clips", "mean s", "languages", "strict"],
        *(
            [
                *(name, str(found["clips"]), f"{found['mean_s']:.1f}"),
                *(percent(found["accuracy"]), percent(found["strict_accuracy"])),
            ]
            for name, found in figures["corpora"].items()
        ),
    ]


def check_table(figures: dict[str, Any]) -> list[list[str]]:
    """Rows of both checks: synthetic sentences, and foreign codecs."""
    rows = [["", "clips", "languages", "strict", "as it was: languages", "strict"]]
    espeak = figures["espeak"]
    for locale, called in espeak["called"].items() if espeak else ():
        total = sum(called.values())
        right = called[locale if locale in called else "other"] / max(total, 1)
        rows.append(
            [
                f"espeak-ng speaks {locale}",
                str(total),
                percent(espeak["recall"].get(locale)),
                percent(right),
                *("", ""),
            ]
        )
    for name, found in figures["foreign_codecs"].items():
        rows.append(
            [
                *(name, str(found["clips"])),
                *(percent(found["through"][key]) for key in ("recall", "strict_recall")),
                *(percent(found["clean"][key]) for key in ("recall", "strict_recall")),
            ]
        )
    return rows


def recipe_table(recipe: dict[str, Any]) -> list[list[str]]:
    """Rows of what the training was told, one level deep."""
    rows = [["setting", "value"]]
    for key, value in recipe.items():
        if isinstance(value, dict):
            rows += [[f"{key}.{inner}", _plain(held)] for inner, held in value.items()]
        else:
            rows.append([key, _plain(value)])
    return rows


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).strip('"')
    # A directory of the machine that trained says nothing to a reader: its name does.
    return Path(text).name if text.startswith("/") else text


def data_table(store: Store) -> list[list[str]]:
    """Rows by language and corpus of what was prepared: clips, minutes, speakers."""
    seconds: dict[tuple[str, str, str], float] = defaultdict(float)
    clips: dict[tuple[str, str, str], int] = defaultdict(int)
    speakers: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for clip in store.clips:
        key = (clip.language, clip.split, clip.corpus)
        seconds[key] += clip.seconds
        clips[key] += 1
        speakers[key].add(clip.speaker)
    return [
        ["language", "split", "corpus", "clips", "minutes", "speakers"],
        *(
            [*key, str(clips[key]), f"{seconds[key] / 60:.1f}", str(len(speakers[key]))]
            for key in sorted(seconds, key=lambda key: (key[1] != "train", key))
        ),
    ]
