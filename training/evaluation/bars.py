"""What is asked of the shipped model, and whether its figures are enough."""

from __future__ import annotations

from typing import Any, Final

from langidd_training.evaluation.observations import WHOLE

STANDARD_CUT: Final = "3"
"""The seconds of speech at which conditions and unknown languages are measured."""
ACCURACY_BARS: Final = {"1": 0.92, "2": 0.97, "3": 0.985, "5": 0.993, WHOLE: 0.995}
CONDITION_BAR: Final = 0.96
CONTEXT_BAR: Final = 0.005
CALIBRATION_BAR: Final = 0.02
AUROC_BARS: Final = {"auroc": 0.95, "auroc_turkic": 0.88}


def bars(result: dict[str, Any], material: str) -> list[dict[str, Any]]:
    """What was asked of the model, what it gives, and whether that is enough.

    `got` is the headline (`languages`, passages of full length), `strict` the same with
    all labels, `clips` the headline on clips as they are, however short.
    """
    found: list[dict[str, Any]] = []

    def add(
        name: str, needed: float, got: float | None, *, below: bool = False, **more: Any
    ) -> None:
        met = got is not None and (got <= needed if below else got >= needed)
        sign = "<=" if below else ">="
        found.append({"bar": name, "needed": f"{sign} {needed}", "got": got, "met": met, **more})

    def add_accuracy(name: str, needed: float, here: dict[str, Any], short: dict[str, Any]) -> None:
        add(
            f"accuracy, {name}",
            needed,
            here.get("accuracy"),
            interval=here.get("interval"),
            strict=here.get("strict_accuracy"),
            clips=short.get("accuracy"),
            clips_strict=short.get("strict_accuracy"),
        )

    lengths, as_they_are = result["lengths"][material], result["lengths"]["clips"]
    for cut, needed in ACCURACY_BARS.items():
        short = as_they_are.get(cut, {})
        add_accuracy(cut if cut == WHOLE else f"{cut} s", needed, lengths.get(cut) or short, short)
    for name in ("telephone", "noise-10dB"):
        here, short = (result["conditions"][kind].get(name, {}) for kind in (material, "clips"))
        add_accuracy(f"{STANDARD_CUT} s, {name}", CONDITION_BAR, here, short)
    here, short = (result["contexts"][kind] for kind in (material, "clips"))
    add(
        "padded and trimmed apart",
        CONTEXT_BAR,
        here.get("difference"),
        below=True,
        strict=here.get("strict_difference"),
        clips=short.get("difference"),
        clips_strict=short.get("strict_difference"),
    )
    for name, key in (
        ("calibration error, among the languages", "among_languages"),
        ("calibration error, with other", "cross_fitted"),
    ):
        add(name, CALIBRATION_BAR, result["calibration"][key]["error"], below=True)
    for key, needed in AUROC_BARS.items():
        here, short = lengths.get(STANDARD_CUT, {}), as_they_are.get(STANDARD_CUT, {})
        name = "AUROC, unknown languages" + (", Turkic" if key.endswith("turkic") else "")
        add(f"{name}, {STANDARD_CUT} s", needed, here.get(key), clips=short.get(key))
    return found
