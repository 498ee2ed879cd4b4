"""The tables of an evaluation as rows of text, the first of them the head; and on a terminal."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from langidd_training.data.store import Store

    Rows = list[list[str]]

SINGLE = {
    "macro": "targets",
    "strict": "all labels",
    "worst_corpus": "worst corpus",
    "other_named": "others named",
    "turkic_named": "Turkic named",
    "other_right": "others right",
    "calibration_error": "ECE",
}
"""Figures of a row, and what their columns are called."""


def percent(value: float | None) -> str:
    """Return a share as text with one digit; `-` for None."""
    return "-" if value is None else f"{100 * value:.1f}"


def split_table(found: Mapping[str, Any], split: str) -> Rows:
    """Make the table of a split: rows of model and baseline, corpora as columns.

    Args:
        found: An evaluation (`evaluation.json`).
        split: Which.

    """
    rows_of = {"": found["splits"][split]}
    if split in found.get("baseline", {}).get("splits", {}):
        rows_of["baseline, "] = found["baseline"]["splits"][split]
    lengths = list(rows_of[""]["lengths"])
    conditions = list(rows_of[""]["conditions"])
    named: list[tuple[str, Mapping[str, Any]]] = []
    for cut in lengths:
        named += [
            (f"{who}{cut} s", own["lengths"][cut])
            for who, own in rows_of.items()
            if cut in own["lengths"]
        ]
    for name in conditions:
        named += [
            (f"{who}3 s, {name}", own["conditions"][name])
            for who, own in rows_of.items()
            if name in own["conditions"]
        ]
    return _figure_rows(named)


def lengths_table(by_cut: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Make the table of one model on one split, by length."""
    return _figure_rows([(f"{cut} s", row) for cut, row in by_cut.items()])


def _figure_rows(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Rows:
    languages = list(dict.fromkeys(name for _, row in named for name in row["by_language"]))
    corpora = list(dict.fromkeys(name for _, row in named for name in row["by_corpus"]))
    shown = [key for key in SINGLE if any(row[key] is not None for _, row in named)]
    head = ["%", *(SINGLE[key] for key in shown), *languages, *corpora]
    return [head] + [
        [
            name,
            *(percent(row[key]) for key in shown),
            *(percent(row["by_language"].get(language)) for language in languages),
            *(percent(row["by_corpus"].get(corpus)) for corpus in corpora),
        ]
        for name, row in named
    ]


def bar_table(bars: Sequence[Mapping[str, Any]]) -> Rows:
    """Make the table of the bars: what is asked, what it gives, whether that is enough."""
    rows = [["split", "bar", "needed, %", "got, %", "met"]]
    for bar in bars:
        relation, _, needed = bar["needed"].partition(" ")
        sign = "≥" if relation == ">=" else "≤"
        rows.append(
            [
                bar["split"],
                bar["bar"],
                f"{sign} {percent(float(needed))}",
                percent(bar["got"]),
                "yes" if bar["met"] else "no",
            ]
        )
    return rows


def recipe_table(recipe: Mapping[str, Any]) -> Rows:
    """Make the table of what a training was told, one level deep."""
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


def data_table(store: Store) -> Rows:
    """Make the table of what was prepared: clips, minutes and speakers of each corpus."""
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


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print an evaluation: a table for each split, and the bars."""
    for split in found["splits"]:
        print_table(f"{found['model']}, {split}", split_table(found, split), console)
    if found["bars"]:
        print_table("Bars", bar_table(found["bars"]), console)


def print_table(title: str, rows: Rows, console: Console) -> None:
    """Print rows of text; a wide table is turned on its side, so that no word is cut short."""
    turned = len(rows[0]) > len(rows) and len(rows) > 1
    if turned:
        rows = [list(column) for column in zip(*rows, strict=True)]
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(rows[0]):
        table.add_column(column, justify="right" if number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
