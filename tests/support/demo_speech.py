"""Speech in Common Voice's layout, cut from the recording that the project ships.

Enough to run every step on real speech where no corpus is at hand: seconds of one or two
people a language. `other` is the same speech backwards, which is none of the languages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import soundfile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

RATE: Final = 16_000
SPOKEN_S: Final = {"uz": (0.5, 9.0), "ru": (9.4, 22.1), "en": (22.5, 29.6)}
"""When which language is spoken in the recording (langidd/demo/README.md)."""
NO_LANGUAGE: Final = "art"
CLIP_S: Final = 1.2
HOP_S: Final = 0.4
TRAINED_ON: Final = 0.6
"""Of each language, from its beginning; the rest is dev."""


def write_demo_speech(recording: npt.NDArray[np.float32], place: Path) -> Path:
    """Write `<language>/{train,dev}.tsv` and clips for uz, ru, en and other.

    Args:
        recording: the demo's recording, `(n,) float32` at 16 kHz.
        place: directory to write into.

    """
    for language, (start_s, end_s) in SPOKEN_S.items():
        part = recording[round(start_s * RATE) : round(end_s * RATE)]
        border = round(TRAINED_ON * len(part))
        _write(place / language, language, part[:border], part[border:])
        _write(place / "other", NO_LANGUAGE, part[:border][::-1], part[border:][::-1])
    return place


def _write(
    directory: Path,
    locale: str,
    train: npt.NDArray[np.float32],
    dev: npt.NDArray[np.float32],
) -> None:
    (directory / "clips").mkdir(parents=True, exist_ok=True)
    size, hop = round(CLIP_S * RATE), round(HOP_S * RATE)
    for split, samples in (("train", train), ("dev", dev)):
        table = directory / f"{split}.tsv"
        if not table.exists():
            table.write_text("client_id\tpath\tlocale\tsource\n")
        with table.open("a") as lines:
            pieces = [samples[at : at + size] for at in range(0, len(samples) - size + 1, hop)]
            for clip in [samples, *pieces]:
                name = f"{locale}-{split}-{len(list(directory.glob('clips/*')))}.ogg"
                soundfile.write(
                    directory / "clips" / name, clip, RATE, format="OGG", subtype="OPUS"
                )
                lines.write(f"{locale}-{split}\t{name}\t{locale}\tdemo\n")
