"""`report`: one page and a model card out of an evaluation and a training run.

The page is one HTML file with its pictures inside; the card is Markdown with the front
matter that the Hugging Face hub reads, its pictures in `pictures/` beside it.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2

from langidd.errors import LangiddError
from langidd.types import Calibration
from langidd_training.data.store import TABLE, Store
from langidd_training.evaluation.bars import ACCURACY_BARS, STANDARD_CUT
from langidd_training.evaluation.observations import Setting, load_observations
from langidd_training.report import pictures
from langidd_training.report.report_tables import (
    bar_table,
    baseline_table,
    check_table,
    condition_table,
    corpus_table,
    data_table,
    length_table,
    other_table,
    recipe_table,
)
from langidd_training.report.tables import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from langidd_training.evaluation.observations import Observations

DOTS_PER_INCH: Final = 110
PICTURES: Final = "pictures"
ANSWERS: Final = (
    "Two answers are counted. Languages (the headline): the best among the target languages. "
    "Strict: the best of all labels, so that a word taken for `other` is wrong. Passages of "
    "full length join short clips of one speaker; clips as they are may be single words."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is put on a page: PNG bytes, a file name, what it shows."""

    name: str
    caption: str
    png: bytes

    @property
    def base64(self) -> str:
        """As HTML holds it."""
        return base64.b64encode(self.png).decode()

    @property
    def file(self) -> str:
        """Where the card finds it."""
        return f"{PICTURES}/{self.name}.png"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what belongs under it; the table's first row is its head."""

    title: str
    text: str = ""
    table: Sequence[Sequence[str]] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of. All but `evaluation` may be missing.

    evaluation: directory with `evaluation.json` (and `scores.npz`), or that file.
    run: directory of a training run. store: its prepared data. example: `(n,)` samples
    with what they are. notes: Markdown for the card's end. baselines: evaluations of
    other models, to stand beside.
    """

    evaluation: Path
    run: Path | None = None
    store: Path | None = None
    example: tuple[npt.NDArray[np.float32], str] | None = None
    notes: Path | None = None
    baselines: tuple[Path, ...] = ()


def write_report(material: Material, out: Path, *, name: str = "uz-ru-en") -> list[Path]:
    """Write `report.html`, `README.md` and the card's pictures; gives what was written.

    Raises LangiddError where the evaluation cannot be read.
    """
    figures = read_figures(material.evaluation)
    scores = _directory(material.evaluation) / "scores.npz"
    table = load_observations(scores) if scores.is_file() else None
    sections = list(_sections(figures, table, material))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    said: dict[str, Any] = {
        "title": f"{name}: spoken language identification",
        "summary": summary(figures),
        "sections": sections,
    }
    out.mkdir(parents=True, exist_ok=True)
    page, card = out / "report.html", out / "README.md"
    page.write_text(environment.get_template("report.html.j2").render(said), encoding="utf-8")
    card.write_text(
        environment.get_template("card.md.j2").render(
            said,
            front_matter=front_matter(figures),
            usage=usage(name, figures),
            notes=material.notes.read_text(encoding="utf-8") if material.notes else "",
        ),
        encoding="utf-8",
    )
    written = [page, card]
    for section in sections:
        for picture in section.pictures:
            path = out / picture.file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture.png)
            written.append(path)
    return written


def read_figures(place: Path) -> dict[str, Any]:
    """Read an `evaluation.json`, given itself or its directory."""
    path = place / "evaluation.json" if place.is_dir() else place
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LangiddError(
            f"{path}: no evaluation; `langidd-train evaluate --out DIR` writes one"
        ) from error
    return found


def _directory(place: Path) -> Path:
    return place if place.is_dir() else place.parent


def training_history(run: Path) -> list[dict[str, Any]]:
    """Find the longest `log_history` under a run's directory; empty where there is none."""
    found: list[list[dict[str, Any]]] = [
        json.loads(path.read_text(encoding="utf-8")).get("log_history", [])
        for path in run.rglob("trainer_state.json")
    ]
    return max(found, key=len, default=[])


def summary(figures: dict[str, Any]) -> str:
    """Say in two sentences what the model is and what it reaches."""
    languages = ", ".join(figures["languages"])
    standard = (figures["lengths"].get("joined") or figures["lengths"]["clips"]).get(
        STANDARD_CUT, {}
    )
    met = sum(bar["met"] for bar in figures["bars"])
    return (
        f"A Whisper encoder with a head that says which of {languages} is being spoken "
        f"(labels: {', '.join(figures['labels'][:8])}), made for windows of 1 to 4 seconds. After "
        f"{STANDARD_CUT} s of speech it is right {percent(standard.get('accuracy'))} % of the time "
        f"on speakers it never heard (split {figures['split']}, mean of the recalls); "
        f"{met} of {len(figures['bars'])} bars are met."
    )


def usage(name: str, figures: dict[str, Any]) -> str:
    """Say how to load it, in langidd and in transformers."""
    context = (
        "It is trained for speech trimmed to its length as well as for Whisper's padded 30 s; "
        "langidd uses the former."
        if figures["context"] == "trimmed"
        else "It takes speech padded with silence to 30 s, as Whisper does."
    )
    return (
        "```python\n"
        "from transformers import AutoFeatureExtractor, AutoModelForAudioClassification\n\n"
        f'model = AutoModelForAudioClassification.from_pretrained("{name}")  # its directory\n'
        f'extractor = AutoFeatureExtractor.from_pretrained("{name}")\n'
        'inputs = extractor(samples, sampling_rate=16_000, return_tensors="pt")\n'
        "print(model.config.id2label[model(**inputs).logits.argmax().item()])\n"
        f"```\n\n{context}\n"
    )


def front_matter(figures: dict[str, Any]) -> str:
    """Give the YAML that the hub reads (strings that need no quoting, one level)."""
    languages = "".join(f"- {language}\n" for language in figures["languages"])
    return (
        "license: mit\nlibrary_name: transformers\npipeline_tag: audio-classification\n"
        f"language:\n{languages}tags:\n- whisper\n- spoken-language-identification\n- langidd\n"
        "base_model: openai/whisper-base\n"
    )


def _sections(
    figures: dict[str, Any], table: Observations | None, material: Material
) -> Iterable[Section]:
    yield Section("What was asked, and what it gives", ANSWERS, bar_table(figures["bars"]))
    lengths = {name: found for name, found in figures["lengths"].items() if found}
    yield Section(
        "Accuracy against duration",
        "Bars are 95 % intervals, speakers drawn with replacement.",
        length_table(figures),
        [
            _picture(
                "lengths",
                "Macro accuracy against seconds of speech",
                pictures.accuracy_by_length(lengths, ACCURACY_BARS),
            )
        ],
    )
    baselines = [read_figures(place) for place in material.baselines]
    if baselines:
        yield Section("Beside other models", "", baseline_table([figures, *baselines]))
    yield Section(
        "Confusion",
        "Clips as they are, best of all labels.",
        (),
        [
            _picture(
                "confusion",
                "What each language was called, clips cut at 1 s, 3 s and whole",
                pictures.confusions(figures["lengths"]["clips"]),
            )
        ],
    )
    yield Section("Conditions", "At 3 s, the same noise for every model.", condition_table(figures))
    yield _certainty(figures, table)
    if figures["others"]:
        yield Section(
            "Languages that it does not name",
            "Clips at 3 s. Rejected: no language reaches the threshold.",
            other_table(figures),
        )
    yield Section("Corpora", "Clips at 3 s.", corpus_table(figures))
    if figures["espeak"] or figures["foreign_codecs"]:
        yield Section(
            "Language, or the recorder?",
            "Each corpus has its own microphones and codecs. espeak-ng speaks the same sentences "
            "in all languages with one voice, and clips pass through a codec that came with "
            "another language: a model that has learned recorders falls apart here.",
            check_table(figures),
        )
    yield from _training(material)


def _certainty(figures: dict[str, Any], table: Observations | None) -> Section:
    found = figures["calibration"]["cross_fitted"]
    shown = [
        _picture(
            "reliability",
            "Confidence against accuracy, temperatures from the other half of the speakers",
            pictures.reliability_diagram(found),
        )
    ]
    if table is not None:
        rows = table.at(Setting("clips", STANDARD_CUT, context=figures["context"]))
        calibration = Calibration(
            labels=table.labels,
            unknown=tuple(set(table.labels) - set(table.targets)),
            temperatures=tuple(tuple(point) for point in figures["temperature"]),
            unknown_temperatures=tuple(
                tuple(point) for point in figures.get("unknown_temperature", ())
            ),
            und_threshold=figures["und_threshold"],
        )
        if len(set(map(str, rows.language)) & {"other"}):
            shown.append(
                _picture(
                    "unknown",
                    "Languages that it does not name against those that it does, 3 s",
                    pictures.unknown_roc(rows, calibration),
                )
            )
    known = figures["calibration"]["among_languages"]
    text = (
        f"Calibration error over 1-5 s: {percent(known['error'])} % among the languages that it "
        f"names, {percent(found['error'])} % with unknown languages as `other` "
        "(fitted on one half of the speakers, measured on the other)."
    )
    return Section("How sure, and how rightly", text, (), shown)


def _training(material: Material) -> Iterable[Section]:
    history = training_history(material.run) if material.run else []
    recipe = material.run / "recipe.json" if material.run else None
    if history:
        yield Section(
            "Training",
            "",
            recipe_table(json.loads(recipe.read_text(encoding="utf-8")))
            if recipe is not None and recipe.is_file()
            else (),
            [_picture("training", "Loss and accuracy by step", pictures.training_curves(history))],
        )
    if material.store is not None and (material.store / TABLE).is_file():
        yield Section("What it was trained on", "", data_table(Store(material.store)))
    if material.example is not None:
        samples, what = material.example
        yield Section(
            "What it hears",
            "",
            (),
            [_picture("example", what, pictures.example_picture(samples, what))],
        )


def _picture(name: str, caption: str, figure: Figure) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return Picture(name, caption, buffer.getvalue())
