"""Speech from RHVoice: free voices that were built from people's recordings.

Where a language has few recorded speakers, a model learns these instead of the language.
RHVoice's voices (https://rhvoice.org, Debian's non-free packages `rhvoice` and
`rhvoice-<language>`) are statistical models of real people: four more voices of Russian,
and of Kyrgyz the only two that can be had freely. Only voices whose licence allows any
use are named here: many others are for non-commercial use, or not to be built upon.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile
import soxr

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.synthesis.synthetic import Utterance, catalogue_texts, training_utterances

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

RHVOICE: Final = "RHVoice-test"
VOICES: Final = {
    "ru": ("aleksandr", "aleksandr-hq", "anna", "elena", "irina"),
    "en": ("alan", "bdl", "clb", "slt"),
    "ky": ("azamat", "nazgul"),
    "uk": ("anatol", "natalia"),
    "pt": ("Letícia-F123",),
}
"""Free voices of each language: LGPL-2.1+, but aleksandr-hq and Letícia CC-BY-SA-4.0
(`/usr/share/doc/rhvoice-russian/copyright`, Debian 12)."""
SPEEDS: Final = (80, 130)
PITCHES: Final = (85, 115)
WORDS: Final = (1, 9)


def speak(utterance: Utterance) -> npt.NDArray[np.float32]:
    """Synthesise one utterance: `(n,) float32`, mono, 16 kHz; speed and pitch in percent.

    Raises:
        LangiddError: RHVoice is missing or has no such voice.

    """
    executable = shutil.which(RHVOICE)
    if executable is None:
        raise LangiddError(
            "RHVoice is not installed: apt-get install rhvoice rhvoice-russian rhvoice-english "
            "rhvoice-kyrgyz rhvoice-ukrainian rhvoice-brazilian-portuguese (Debian, non-free)"
        )
    if utterance.variant.casefold() not in _installed():
        # RHVoice itself would say it by whatever voice it has.
        raise LangiddError(
            f"RHVoice cannot speak {utterance.language!r} by {utterance.variant!r}: no such voice "
            f"under {_data()}; is the language's package installed?"
        )
    with tempfile.TemporaryDirectory(prefix="langidd-rhvoice-") as directory:
        wave = Path(directory) / "speech.wav"
        options = (
            *("-p", utterance.variant, "-o", str(wave)),
            *("-r", str(utterance.speed), "-t", str(utterance.pitch)),
        )
        done = subprocess.run(  # noqa: S603 - no shell; the text goes in by standard input
            [executable, *options], input=utterance.text.encode(), capture_output=True, check=False
        )
        if done.returncode != 0 or not wave.is_file() or wave.stat().st_size <= 44:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise LangiddError(
                f"RHVoice cannot speak {utterance.text!r} by {utterance.variant!r}: "
                f"{reason[-1] if reason else 'no sound'}"
            )
        samples, rate = soundfile.read(wave, dtype="float32")
    return soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)


def _data() -> Path:
    return Path(os.environ.get("RHVOICEDATAPATH", "/usr/share/RHVoice"))


@cache
def _installed() -> frozenset[str]:
    """The voices' names, as their own files say them; RHVoice does not mind the case."""
    lines = [
        line.strip()
        for path in _data().glob("voices/*/voice.info")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return frozenset(
        line.removeprefix("name=").casefold() for line in lines if line.startswith("name=")
    )


def catalogue_utterances(
    directories: Sequence[Path], languages: Sequence[str], *, per_language: int, seed: int = 17
) -> list[Utterance]:
    """Draw training utterances, single words among them, for all voices of each language.

    Raises:
        LangiddError: A language has no free voice, or no catalogue was found.

    """
    if unknown := [language for language in languages if language not in VOICES]:
        raise LangiddError(
            f"no free voice of RHVoice speaks {', '.join(unknown)}; it has {', '.join(VOICES)}"
        )
    texts = catalogue_texts(directories, languages, words=WORDS)
    return [
        replace(utterance, engine="rhvoice")
        for language, own in texts.items()
        for utterance in training_utterances(
            {language: own},
            per_language=per_language,
            variants=VOICES[language],
            speeds=SPEEDS,
            pitches=PITCHES,
            seed=seed,
        )
    ]
