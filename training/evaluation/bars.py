"""What is asked of the shipped model, and whether its figures are enough."""

from __future__ import annotations

from typing import Any, Final

STANDARD_CUT: Final = "3"
"""The seconds of speech at which corpora, conditions and other languages are measured."""
HOME: Final = "dev"
"""The split of corpora that training shares; every other is from elsewhere."""
MACRO: Final = {
    HOME: {"1": 0.92, "2": 0.983, "3": 0.99, "5": 0.995},
    "elsewhere": {"1": 0.88, "2": 0.97, "3": 0.992, "5": 0.997},
}
WORST_CORPUS: Final = 0.96
OTHER_NAMED: Final = 0.12
TURKIC_NAMED: Final = 0.25
CONDITION_LOSS: Final = 0.03
CALIBRATION_ERROR: Final = {HOME: 0.02, "elsewhere": 0.04}


def bars(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare figures with what is asked.

    Args:
        found: `splits`, and `baseline` where there is one, as `figures` has them.

    Returns:
        For each bar `bar` (its name), `split`, `needed` (`>= 0.96`), `got` and `met`.

    """
    results: list[dict[str, Any]] = []

    def add(split: str, name: str, sign: str, needed: float, got: float | None) -> None:
        if got is None:
            return
        met = got >= needed if sign == ">=" else got <= needed
        results.append(
            {"bar": name, "split": split, "needed": f"{sign} {needed:g}", "got": got, "met": met}
        )

    for split, own in found["splits"].items():
        place = HOME if split == HOME else "elsewhere"
        lengths = own["lengths"]
        for cut, needed in MACRO[place].items():
            add(split, f"accuracy, {cut} s", ">=", needed, lengths.get(cut, {}).get("macro"))
        standard = lengths.get(STANDARD_CUT, {})
        add(split, "worst corpus", ">=", WORST_CORPUS, standard.get("worst_corpus"))
        if place != HOME:
            add(split, "other languages named", "<=", OTHER_NAMED, standard.get("other_named"))
        add(split, "Turkic languages named", "<=", TURKIC_NAMED, standard.get("turkic_named"))
        for name, row in own["conditions"].items():
            if row["macro"] is not None and standard.get("macro") is not None:
                lost = standard["macro"] - row["macro"]
                add(split, f"lost by {name}", "<=", CONDITION_LOSS, lost)
        add(
            *(split, "calibration error", "<=", CALIBRATION_ERROR[place]),
            standard.get("calibration_error"),
        )
        baseline = found.get("baseline", {}).get("splits", {}).get(split, {}).get("lengths", {})
        for cut, row in baseline.items():
            if row["macro"] is not None:
                needed = round(row["macro"], 4)
                add(split, f"baseline, {cut} s", ">=", needed, lengths[cut]["macro"])
    return results
