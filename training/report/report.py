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
from langidd_training.evaluation.bars import STANDARD_CUT
from langidd_training.evaluation.calibrate import reliability_of
from langidd_training.evaluation.evaluate import SCORES
from langidd_training.evaluation.observations import load_observations
from langidd_training.report import pictures
from langidd_training.report.tables import (
    bar_table,
    data_table,
    percent,
    recipe_table,
    split_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.figure import Figure

DOTS_PER_INCH: Final = 110
PICTURES: Final = "pictures"
EXPLANATION: Final = (
    "N seconds of speech of one voice, short clips joined; every voice weighs the same, languages "
    "are the mean of their voices. Targets: the best among the target languages. All labels: the "
    "best of all. Worst corpus: of those with five voices or more. Others named: speech in other "
    "languages that reaches the threshold of a target. Baseline: an untouched Whisper with a "
    "logistic regression on its language tokens."
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

    Attributes:
        evaluation: Directory with `evaluation.json` and `scores.npz`, or that JSON.
        run: Directory of a training run.
        store: Its prepared data.
        notes: Markdown for the card's end.

    """

    evaluation: Path
    run: Path | None = None
    store: Path | None = None
    notes: Path | None = None


def write_report(material: Material, out: Path, *, name: str | None = None) -> list[Path]:
    """Write `report.html`, `README.md` and the card's pictures.

    Args:
        material: What it is made of.
        out: The directory.
        name: What the model is called; None: as the run, or as the model that was evaluated.

    Returns:
        What was written.

    Raises:
        LangiddError: The evaluation cannot be read.

    """
    found = read_figures(material.evaluation)
    title = name or (material.run.name if material.run else Path(found["model"]).name)
    sections = list(_sections(found, material))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    content: dict[str, Any] = {
        "title": f"{title}: spoken language identification",
        "summary": summary(found),
        "sections": sections,
    }
    out.mkdir(parents=True, exist_ok=True)
    page, card = out / "report.html", out / "README.md"
    page.write_text(environment.get_template("report.html.j2").render(content), encoding="utf-8")
    card.write_text(
        environment.get_template("card.md.j2").render(
            content,
            front_matter=front_matter(found),
            usage=usage(title, found),
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
    """Read an `evaluation.json`, given itself or its directory.

    Raises:
        LangiddError: There is none.

    """
    path = place / "evaluation.json" if place.is_dir() else place
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LangiddError(
            f"{path}: no evaluation; `langidd-train evaluate --out DIR` writes one"
        ) from error
    return found


def training_history(run: Path) -> list[dict[str, Any]]:
    """Find the longest `log_history` under a run's directory; empty where there is none."""
    found: list[list[dict[str, Any]]] = [
        json.loads(path.read_text(encoding="utf-8")).get("log_history", [])
        for path in run.rglob("trainer_state.json")
    ]
    return max(found, key=len, default=[])


def summary(found: dict[str, Any]) -> str:
    """Say in a few sentences what the model is and what it reaches on each split."""
    languages = ", ".join(found["languages"])
    reached = [
        f"{percent(own['lengths'][STANDARD_CUT]['macro'])} % on {split}"
        for split, own in found["splits"].items()
        if STANDARD_CUT in own["lengths"]
    ]
    met = sum(bar["met"] for bar in found["bars"])
    return (
        f"A Whisper that says which language is spoken, made for windows of 1 to 4 seconds and for "
        f"{languages}; it has {len(found['labels'])} labels. After {STANDARD_CUT} s of speech it "
        f"is right among these languages {' and '.join(reached)}, on speakers that training does "
        f"not share; {met} of {len(found['bars'])} bars are met."
    )


def usage(name: str, found: dict[str, Any]) -> str:
    """Say how transformers loads it, and in which context langidd runs it."""
    if "other" in found["labels"] or set(found["labels"]) == set(found["languages"]):
        lines = (
            "from transformers import AutoFeatureExtractor, AutoModelForAudioClassification\n\n"
            f'model = AutoModelForAudioClassification.from_pretrained("{name}")  # its directory\n'
            f'extractor = AutoFeatureExtractor.from_pretrained("{name}")\n'
            'inputs = extractor(samples, sampling_rate=16_000, return_tensors="pt")\n'
            "print(model.config.id2label[model(**inputs).logits.argmax().item()])\n"
        )
    else:
        lines = (
            "import torch\n"
            "from transformers import AutoFeatureExtractor, WhisperForConditionalGeneration\n\n"
            f'model = WhisperForConditionalGeneration.from_pretrained("{name}")  # its directory\n'
            f'extractor = AutoFeatureExtractor.from_pretrained("{name}")\n'
            'inputs = extractor(samples, sampling_rate=16_000, return_tensors="pt")\n'
            "logits = model(**inputs, decoder_input_ids=torch.tensor([[0]])).logits[0, 0, 1:]\n"
            'print(model.config.langidd["languages"][logits.argmax()])\n'
        )
    context = (
        "It is trained for speech trimmed to its length, which is how langidd runs it; "
        "transformers pads it to 30 s."
        if found["context"] == "trimmed"
        else "It takes speech padded with silence to 30 s, as Whisper does."
    )
    return f"```python\n{lines}```\n\n{context}\n"


def front_matter(found: dict[str, Any]) -> str:
    """Return the YAML that the hub reads (strings that need no quoting, one level)."""
    languages = "".join(f"- {language}\n" for language in found["languages"])
    return (
        "license: mit\nlibrary_name: transformers\npipeline_tag: audio-classification\n"
        f"language:\n{languages}tags:\n- whisper\n- spoken-language-identification\n- langidd\n"
        "base_model: openai/whisper-base\n"
    )


def _sections(found: dict[str, Any], material: Material) -> Iterable[Section]:
    for number, split in enumerate(found["splits"]):
        text = EXPLANATION if number == 0 else ""
        yield Section(f"Accuracy on {split}", text, split_table(found, split))
    yield Section(
        "Accuracy against duration",
        "",
        (),
        [_picture("lengths", "Accuracy against seconds of speech",
                  pictures.accuracy_by_length(found))],
    )  # fmt: skip
    if found["bars"]:
        yield Section("What is asked, and what it gives", "", bar_table(found["bars"]))
    directory = material.evaluation if material.evaluation.is_dir() else material.evaluation.parent
    if (directory / SCORES).is_file():
        yield _certainty(found, directory / SCORES)
    yield from _training(material)


def _certainty(found: dict[str, Any], scores: Path) -> Section:
    table = load_observations(scores)
    calibration = Calibration(
        labels=table.labels,
        temperatures=tuple((float(at), float(value)) for at, value in found["temperature"]),
        und_threshold=found["und_threshold"],
    )
    by_split = {
        split: reliability_of(table.at(split, STANDARD_CUT), calibration)
        for split in found["splits"]
        if len(table.at(split, STANDARD_CUT))
    }
    caption = f"Confidence against accuracy at {STANDARD_CUT} s"
    picture = _picture("reliability", caption, pictures.reliability_diagram(by_split))
    text = f"A window names no language below a probability of {found['und_threshold']:g}."
    return Section("How sure it is", text, (), [picture])


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


def _picture(name: str, caption: str, figure: Figure) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return Picture(name, caption, buffer.getvalue())
