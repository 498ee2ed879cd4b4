"""Writing an evaluation down: figures as JSON, tables as text, scores as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from langidd_training.evaluation.evaluate import BASELINE_SCORES, SCORES
from langidd_training.report.tables import show

if TYPE_CHECKING:
    from pathlib import Path

    from langidd_training.evaluation.evaluate import Evaluation

DIGITS: Final = 5


def write_results(place: Path, figures: dict[str, Any], evaluation: Evaluation) -> None:
    """Write `evaluation.json`, `evaluation.txt` and the scores into a directory.

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
    evaluation.observations.save(place / SCORES)
    if evaluation.baseline is not None:
        evaluation.baseline.observations.save(place / BASELINE_SCORES)


def rounded(value: Any) -> Any:
    """Round every number to a length that a person can read and a diff can bear."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return value
