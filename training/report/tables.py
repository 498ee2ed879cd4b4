"""An evaluation as tables that a person reads in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

HEADLINE = (
    "languages: the best among the target languages (headline). strict: the best of all labels, "
    "`other` among them."
)
MATERIAL = {
    "joined": "that much speech always: short clips of a speaker joined",
    "clips": "clips as they are, cut at most there, however short",
}


def percent(value: float | None) -> str:
    """`98.5` of 0.985, a dash of None."""
    return "-" if value is None else f"{100 * value:.1f}"


def show(figures: dict[str, Any], console: Console) -> None:
    """Print every table of the figures."""
    console.print(f"[bold]{figures['model']}[/] ({figures['context']}, {figures['split']})")
    console.print(HEADLINE)
    for table in tables(figures):
        console.print(table)
    if figures["balance"]:
        found = ", ".join(
            f"{percent(value)} at {cut} s" for cut, value in figures["balance"].items()
        )
        console.print(f"Joined, classes balanced on the other half of the speakers: {found}")


def show_voices(by_cut: dict[str, dict[str, Any]], console: Console) -> None:
    """Print `voice_figures`: a column a length, a row a figure, voices weighing the same."""
    table = Table(title="voices weigh the same; short clips of a voice joined")
    table.add_column("%")
    for cut in by_cut:
        table.add_column(f"{cut} s", justify="right")
    single = {
        "macro": "best of the languages",
        "strict": "best of all labels",
        "worst_corpus": "worst corpus",
        "other_named": "other languages named",
        "turkic_named": "Turkic languages named",
        "auroc": "area under the ROC",
        "calibration_error": "calibration error",
    }
    for key, text in single.items():
        table.add_row(text, *(percent(found[key]) for found in by_cut.values()))
    for key in ("by_language", "by_corpus"):
        names = dict.fromkeys(name for found in by_cut.values() for name in found[key])
        for name in names:
            table.add_row(name, *(percent(found[key].get(name)) for found in by_cut.values()))
    console.print(table)


def tables(figures: dict[str, Any]) -> Iterator[Table]:
    """Yield bars, lengths, conditions, contexts, corpora, other languages, checks."""
    yield _bars(figures["bars"])
    for material, lengths in figures["lengths"].items():
        if lengths:
            yield _lengths(material, lengths, figures["languages"])
            yield _certainty(material, lengths, figures["languages"])
    for material, conditions in figures["conditions"].items():
        if conditions:
            yield _conditions(material, conditions, figures["languages"])
    yield _contexts(figures["contexts"])
    yield _corpora(figures["corpora"])
    yield _others(figures["others"], [*figures["languages"], "other"])
    if figures["espeak"]:
        yield _espeak(figures["espeak"])
    if figures["foreign_codecs"]:
        yield _foreign(figures["foreign_codecs"])


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _bars(bars: list[dict[str, Any]]) -> Table:
    table = _table(
        "Bars", "what", "needed", "got", "95 %", "strict", "clips as they are", "strict", "met"
    )
    for bar in bars:
        relation, _, needed = bar["needed"].partition(" ")
        table.add_row(
            bar["bar"],
            f"{relation} {percent(float(needed))}",
            percent(bar["got"]),
            _interval(bar.get("interval")),
            percent(bar.get("strict")),
            percent(bar.get("clips")),
            percent(bar.get("clips_strict")),
            "yes" if bar["met"] else "no",
        )
    return table


def _interval(interval: list[float] | None) -> str:
    return "" if interval is None else f"{percent(interval[0])}-{percent(interval[1])}"


def _lengths(material: str, lengths: dict[str, Any], languages: list[str]) -> Table:
    table = _table(
        f"By length: {MATERIAL[material]}",
        *("s", "languages", "95 %", *languages, "strict", *languages),
    )
    for cut, row in lengths.items():
        table.add_row(
            cut,
            percent(row["accuracy"]),
            _interval(row["interval"]),
            *(percent(row["recall"].get(name)) for name in languages),
            percent(row["strict_accuracy"]),
            *(percent(row["strict_recall"].get(name)) for name in languages),
        )
    return table


def _certainty(material: str, lengths: dict[str, Any], languages: list[str]) -> Table:
    columns = [*languages, "other"]
    table = _table(
        f"By length, {material}: clips, F1, calibration, unknown languages",
        *("s", "/".join(columns), "F1", "open F1", "ECE"),
        *("AUROC", "Turkic", "named", "rejected"),
    )
    for cut, row in lengths.items():
        table.add_row(
            cut,
            "/".join(str(row["clips"][name]) for name in columns),
            *(percent(row[key]) for key in ("f1", "open_f1", "ece", "auroc", "auroc_turkic")),
            *(percent(row[key]) for key in ("named", "rejected")),
        )
    return table


def _conditions(material: str, conditions: dict[str, Any], languages: list[str]) -> Table:
    table = _table(
        f"Conditions at 3 s: {MATERIAL[material]}",
        *("condition", "languages", "95 %", *languages, "strict", *languages, "ECE"),
    )
    for name, row in conditions.items():
        table.add_row(
            name,
            percent(row["accuracy"]),
            _interval(row["interval"]),
            *(percent(row["recall"].get(language)) for language in languages),
            percent(row["strict_accuracy"]),
            *(percent(row["strict_recall"].get(language)) for language in languages),
            percent(row["ece_known"]),
        )
    return table


def _contexts(contexts: dict[str, Any]) -> Table:
    table = _table(
        "Padded to 30 s against trimmed, 3 s",
        *("passages", "trimmed", "padded", "strict trimmed", "strict padded", "same answer"),
    )
    for material, row in contexts.items():
        if row:
            table.add_row(
                material,
                percent(row["trimmed"]["accuracy"]),
                percent(row["padded"]["accuracy"]),
                percent(row["trimmed"]["strict_accuracy"]),
                percent(row["padded"]["strict_accuracy"]),
                percent(row["same_answer"]),
            )
    return table


def _corpora(corpora: dict[str, Any]) -> Table:
    table = _table("By corpus, clips at 3 s", "corpus", "clips", "mean s", "languages", "strict")
    for name, row in corpora.items():
        table.add_row(
            name,
            str(row["clips"]),
            f"{row['mean_s']:.1f}",
            percent(row["accuracy"]),
            percent(row["strict_accuracy"]),
        )
    return table


def _others(others: dict[str, Any], columns: list[str]) -> Table:
    table = _table(
        "Other languages, clips at 3 s: what they are called",
        *("locale", "clips", *columns, "rejected", "AUROC"),
    )
    for locale, row in others.items():
        table.add_row(
            locale,
            str(row["clips"]),
            *(str(row["called"][name]) for name in columns),
            percent(row["rejected"]),
            percent(row["auroc"]),
        )
    return table


def _espeak(espeak: dict[str, Any]) -> Table:
    columns = list(next(iter(espeak["called"].values())))
    table = _table(
        f"espeak-ng, the same sentences by one voice: languages {percent(espeak['accuracy'])}, "
        f"strict {percent(espeak['strict_accuracy'])}, AUROC {percent(espeak['auroc'])}",
        *("spoken", "recall", *(f"called {name}" for name in columns)),
    )
    for locale, called in espeak["called"].items():
        table.add_row(
            locale,
            percent(espeak["recall"].get(locale)),
            *(str(called[name]) for name in columns),
        )
    return table


def _foreign(foreign: dict[str, Any]) -> Table:
    table = _table(
        "Through another language's codec, clips at 3 s",
        *("clips", "number", "clean", "through", "strict clean", "strict through"),
    )
    for name, row in foreign.items():
        table.add_row(
            name,
            str(row["clips"]),
            *(percent(row[key]["recall"]) for key in ("clean", "through")),
            *(percent(row[key]["strict_recall"]) for key in ("clean", "through")),
        )
    return table
