"""Data sets of the Hugging Face hub, streamed: any with an audio and a language column.

That is how the original recipe got its data (the first rows of each language), and it
still works for what is on the hub. Only the bytes are fetched and written: `prepare`
decodes them like everything else.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

SPEAKERS: Final = ("client_id", "speaker_id", "speaker")
"""Columns that say who speaks, the first that there is."""


def stream_from_hub(
    name: str,
    directory: Path,
    *,
    split: str = "train",
    configuration: str | None = None,
    audio: str = "audio",
    language: str = "language",
    clips: int = 1_000,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write the first `clips` of a split to `directory`; returns the manifest.

    `language` is the column that says it, or `=uz` where the whole set is in one.
    Without a column of speakers every clip counts as its own, so that no check can find
    one who is in two splits. Clips that are there already are not written again.

    Raises:
        ConfigError: a column is missing.

    """
    from datasets import Value, load_dataset

    rows = load_dataset(name, configuration, split=split, streaming=True)
    if audio not in rows.column_names:
        raise ConfigError(
            f"{name}: no column {audio!r} among {', '.join(rows.column_names)}; name it"
        )
    # As it lies in the hub's Parquet files. `Audio(decode=False)` is meant for this, but
    # datasets 5 wants torchcodec even where nothing is decoded.
    stored = {"bytes": Value("binary"), "path": Value("string")}
    rows = rows.cast_column(audio, stored)
    (directory / "clips").mkdir(parents=True, exist_ok=True)
    manifest = directory / f"{split}.manifest.tsv"
    with manifest.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, delimiter="\t", lineterminator="\n")
        writer.writerow(["path", "language", "speaker", "split"])
        for number, row in enumerate(rows.take(clips)):
            spoken = _language(row, language, name)
            path = _written(row[audio], directory, f"{split}-{number:06d}")
            speaker = next((str(row[key]) for key in SPEAKERS if row.get(key)), path.stem)
            writer.writerow([path, spoken, speaker, {"validation": "dev"}.get(split, split)])
            if progress is not None:
                progress(number + 1)
    return manifest


def _language(row: dict[str, Any], language: str, name: str) -> str:
    if language.startswith("="):
        return language[1:]
    if language not in row:
        raise ConfigError(f"{name}: no column {language!r}; name it, or give the language as =uz")
    return str(row[language])


def _written(sound: dict[str, Any], directory: Path, stem: str) -> Path:
    path = Path("clips") / f"{stem}{Path(sound['path'] or 'clip.wav').suffix}"
    if not (directory / path).exists():
        partial = directory / f"{path}.part"
        partial.write_bytes(sound["bytes"] or Path(sound["path"]).read_bytes())
        partial.rename(directory / path)
    return path
