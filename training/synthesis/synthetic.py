"""Speech from espeak-ng: one voice and one channel for any language.

A corpus of real speech has its own microphones, rooms and codecs, and a model that has
learned those calls every Telegram message Uzbek. A synthesiser with the same voice in
every language has none of that: only the language is left. So it makes a hard check
(the same sentences in Uzbek, Russian, English, Kazakh and Turkish: `sentences.tsv`), and
a little training data for languages that no free corpus speaks.

What it writes looks like Common Voice, as all of `training` reads it:
`<language>/clips/*.flac` and `<language>/<split>.tsv`, and languages outside the targets
together under `other/` with their own `locale`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile
import soxr

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.data.common_voice import write_flac, write_split
from langidd_training.synthesis.catalogues import catalogue_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

ESPEAK: Final = "espeak-ng"
VOICES: Final = {"en": "en-us", "fr": "fr-fr", "zh": "cmn"}
"""espeak-ng's name of a language's voice, where it is not the language's code."""
TRAINING_VARIANTS: Final = ("m1", "m2", "f1", "f2", "m4")
EVALUATION_VARIANTS: Final = ("", "m3", "f3")
"""Voices that are not trained with; the empty one is the voice as it comes."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One thing to say. `speed` in words a minute, `pitch` 0-99 (espeak-ng's scale).

    `engine` is whose `variant` (voice), speed and pitch these are.
    """

    language: str
    text: str
    variant: str = ""
    speed: int = 160
    pitch: int = 50
    engine: str = "espeak"

    @property
    def speaker(self) -> str:
        """The name of the voice: a variant in one language is one speaker."""
        return f"{self.engine}-{self.language}-{self.variant or 'default'}"

    @property
    def file_stem(self) -> str:
        """A name that is the same for the same utterance, and for no other."""
        words = f"{self.text}|{self.speed}|{self.pitch}"
        return f"{self.speaker}-{hashlib.sha256(words.encode()).hexdigest()[:10]}"


def speak(utterance: Utterance) -> npt.NDArray[np.float32]:
    """Synthesise one utterance: `(n,) float32`, mono, 16 kHz.

    Raises:
        LangiddError: espeak-ng is missing or has no such voice.

    """
    executable = shutil.which(ESPEAK)
    if executable is None:
        raise LangiddError("espeak-ng is not installed: apt-get install espeak-ng")
    voice = VOICES.get(utterance.language, utterance.language)
    if utterance.variant:
        voice = f"{voice}+{utterance.variant}"
    done = subprocess.run(  # noqa: S603 - no shell; the text goes in by standard input
        [
            *(executable, "-v", voice, "-s", str(utterance.speed), "-p", str(utterance.pitch)),
            *("--stdin", "--stdout"),
        ],
        input=utterance.text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or len(done.stdout) <= 44:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise LangiddError(
            f"espeak-ng cannot speak {utterance.language!r} (voice {voice}): "
            f"{reason[-1] if reason else 'no sound'}; `espeak-ng --voices` lists what it can"
        )
    samples, rate = soundfile.read(io.BytesIO(_mend_header(done.stdout)), dtype="float32")
    return soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)


def _mend_header(wave: bytes) -> bytes:
    """Write the true lengths into a WAV header that was made before they were known."""
    lengths = len(wave) - 8, len(wave) - 44
    return (
        wave[:4]
        + lengths[0].to_bytes(4, "little")
        + wave[8:40]
        + lengths[1].to_bytes(4, "little")
        + wave[44:]
    )


def parallel_sentences(path: Path | None = None) -> dict[str, list[str]]:
    """Read the sentences that are the same in every language: language → sentences.

    `path`: a TSV with a column a language; without it, the one that langidd brings.
    """
    source = path or Path(__file__).with_name("sentences.tsv")
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows:
        raise LangiddError(f"{source} holds no sentences: a header of languages, a row each")
    return {language: [row[language] for row in rows if row[language]] for language in rows[0]}


def evaluation_utterances(
    sentences: Mapping[str, Sequence[str]], variants: Sequence[str] = EVALUATION_VARIANTS
) -> list[Utterance]:
    """Every sentence in every language by every voice, all at one speed and pitch."""
    return [
        Utterance(language, text, variant)
        for language, texts in sentences.items()
        for variant in variants
        for text in texts
    ]


def training_utterances(
    sentences: Mapping[str, Sequence[str]],
    *,
    per_language: int,
    variants: Sequence[str] = TRAINING_VARIANTS,
    speeds: tuple[int, int] = (125, 190),
    pitches: tuple[int, int] = (25, 75),
    seed: int = 17,
) -> list[Utterance]:
    """Draw utterances: each language's as many, voices in turn, speed and pitch at random.

    A language with fewer sentences than `per_language` says them again by another voice,
    at another speed, at most once a voice.
    """
    chosen: list[Utterance] = []
    for language, texts in sentences.items():
        draw = random.Random(f"{seed}-{language}")  # noqa: S311 - a reproducible draw, no secret
        pool = draw.sample(list(texts), len(texts))
        for number in range(min(per_language, len(pool) * len(variants)) if pool else 0):
            turn, place = divmod(number, len(pool))
            chosen.append(
                Utterance(
                    language,
                    pool[place],
                    variants[(place + turn) % len(variants)],
                    draw.randint(*speeds),
                    draw.randint(*pitches),
                )
            )
    return chosen


def catalogue_utterances(
    directories: Sequence[Path],
    languages: Sequence[str],
    *,
    per_language: int,
    variants: Sequence[str] = TRAINING_VARIANTS,
    seed: int = 17,
) -> list[Utterance]:
    """Draw training utterances from gettext catalogues, less the evaluation's sentences.

    Raises:
        LangiddError: No language has any.

    """
    sentences = catalogue_texts(directories, languages)
    return training_utterances(sentences, per_language=per_language, variants=variants, seed=seed)


def catalogue_texts(
    directories: Sequence[Path], languages: Sequence[str], *, words: tuple[int, int] = (4, 18)
) -> dict[str, list[str]]:
    """Read what there is to say, language → sentences, less the evaluation's sentences.

    Raises:
        LangiddError: No language has any.

    """
    kept_back = {text for texts in parallel_sentences().values() for text in texts}
    sentences = {
        language: [
            text
            for text in catalogue_sentences(directories, language, words=words)
            if text not in kept_back
        ]
        for language in languages
    }
    if not any(sentences.values()):
        raise LangiddError(
            f"{', '.join(map(str, directories))}: no catalogues of {', '.join(languages)} "
            "(<language>/LC_MESSAGES/*.mo or <language>.po); language packs have them"
        )
    return sentences


def write_corpus(
    utterances: Sequence[Utterance],
    directory: Path,
    *,
    split: str,
    targets: Sequence[str] = ("uz", "ru", "en"),
    workers: int = 2,
    by: Callable[[Utterance], npt.NDArray[np.float32]] = speak,
    source: str = ESPEAK,
) -> dict[str, int]:
    """Speak them all into Common Voice's layout; returns clips by language.

    `by` gives an utterance's sound, `(n,) float32` at 16 kHz; `source` names the corpus.
    Clips that are there already are kept, so a run that was stopped goes on.
    """
    rows: dict[str, list[tuple[str, str, str, str, str]]] = {}
    counts: dict[str, int] = {}

    def one(utterance: Utterance) -> tuple[str, Utterance, str]:
        folder = utterance.language if utterance.language in targets else "other"
        name = f"{utterance.file_stem}.flac"
        path = directory / folder / "clips" / name
        if not path.exists():
            write_flac(path, by(utterance))
        return folder, utterance, name

    with ThreadPoolExecutor(workers) as pool:
        for folder, utterance, name in pool.map(one, utterances):
            row = (utterance.speaker, name, utterance.text, utterance.language, source)
            rows.setdefault(folder, []).append(row)
            counts[utterance.language] = counts.get(utterance.language, 0) + 1
    for folder, table in rows.items():
        write_split(directory / folder / f"{split}.tsv", table)
    return counts
