"""Writing an evaluation down: figures as JSON, tables as text, scores as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console

from langidd_training.report.tables import show

if TYPE_CHECKING:
    from pathlib import Path

    from langidd_training.evaluation.observations import Observations

DIGITS = 5


def write_results(
    place: Path, figures: dict[str, Any], observations: Observations | None = None
) -> None:
    """Write `evaluation.json`, `evaluation.txt` and `scores.npz` into a directory.

    A `place` that ends in `.json` gets the JSON alone.
    """
    text = json.dumps(rounded(figures), indent=1, ensure_ascii=False) + "\n"
    if place.suffix == ".json":
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        return
    place.mkdir(parents=True, exist_ok=True)
    (place / "evaluation.json").write_text(text, encoding="utf-8")
    with (place / "evaluation.txt").open("w", encoding="utf-8") as file:
        show(figures, Console(file=file, width=160))
    if observations is not None:
        observations.save(place / "scores.npz")


def rounded(value: Any) -> Any:
    """Round every number to a length that a person can read and a diff can bear."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return value
