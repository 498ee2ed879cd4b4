"""Which recordings there are: Common Voice directories and plain manifests."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from langidd_training.data.store import StoredClip

SPLITS: Final = ("train", "dev", "test")
OTHER: Final = "other"
"""The class of every language that the model does not name."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, before it is decoded.

    `language` is the class to learn, `locale` what is really spoken (they differ for
    the class `other`); `corpus` is who collected it; `speaker` is unique over all
    corpora.
    """

    path: Path
    language: str
    locale: str
    corpus: str
    speaker: str
    split: str


def read_corpora(
    roots: Sequence[Path],
    languages: Sequence[str] | None = None,
    *,
    splits: Sequence[str] = SPLITS,
) -> list[Clip]:
    """Read every clip that `roots` list.

    Args:
        roots: each a directory of Common Voice languages (`uz/train.tsv`, `uz/clips/`),
            one such language, or a manifest file.
        languages: the classes; clips in other languages become `other`. None: the names
            of the languages' directories, or the languages that a manifest names.
        splits: whose tables to read (`dev.tsv`); any name is one.

    Raises:
        ConfigError: a root is neither, or lists nothing.

    """
    named = tuple(languages) if languages is not None else named_languages(roots, splits)
    return _read_all(roots, named, splits)


def named_languages(roots: Iterable[Path], splits: Sequence[str] = SPLITS) -> tuple[str, ...]:
    """Give the languages that directories and manifests are named for, without `other`."""
    names: list[str] = []
    for root in roots:
        if root.is_file():
            names += [_base(row.get("language", "")) for row in _rows(root)]
        else:
            places = [root] if _is_language(root, splits) else sorted(root.glob("*"))
            places = [place for place in places if _is_language(place, splits)]
            names += [_base(place.resolve().name) for place in places]
    return tuple(name for name in dict.fromkeys(names) if name and name != OTHER)


def require_languages(
    clips: Iterable[Clip] | Iterable[StoredClip], languages: Sequence[str], where: str
) -> None:
    """Make sure that each language has a clip to learn from.

    Raises:
        ConfigError: names the languages that are missing, and those that are there.

    """
    classes: set[str] = set()
    locales: set[str] = set()
    for clip in clips:
        classes.add(clip.language)
        locales.add(clip.locale)
    missing = [language for language in languages if language not in classes]
    if missing or not languages:
        there = ", ".join(sorted(locales)) or "none"
        lacks = f"no clip in {', '.join(missing)}" if languages else "no language"
        raise ConfigError(f"{where}: {lacks}; the languages there are {there}")


def _is_language(directory: Path, splits: Sequence[str] = SPLITS) -> bool:
    return any((directory / f"{split}.tsv").is_file() for split in splits)


def _read_all(roots: Iterable[Path], languages: Sequence[str], splits: Sequence[str]) -> list[Clip]:
    clips: list[Clip] = []
    for root in roots:
        before = len(clips)
        if root.is_file():
            clips += read_manifest(root, languages, splits)
        elif _is_language(root, splits):
            clips += read_common_voice(root, languages, splits)
        else:
            for directory in sorted(path for path in root.glob("*") if path.is_dir()):
                clips += read_common_voice(directory, languages, splits)
        if len(clips) == before:
            raise ConfigError(
                f"{root}: no recordings in the split {' or '.join(map(repr, splits))}; "
                f"expected <language>/{splits[0]}.tsv beside clips/, "
                "or a manifest with the columns path, language, speaker, split"
            )
    return clips


def read_common_voice(
    directory: Path, languages: Sequence[str], splits: Sequence[str] = SPLITS
) -> Iterator[Clip]:
    """Clips of one language in Common Voice's layout.

    `locale` says the language, the directory's name where there is no such column;
    the column `source` says the corpus, `common-voice` where there is none. A path
    without an extension is an MP3, as in Common Voice's early releases.
    """
    for split in splits:
        table = directory / f"{split}.tsv"
        if not table.is_file():
            continue
        for row in _rows(table):
            locale = _base(row.get("locale") or directory.name)
            corpus = row.get("source") or "common-voice"
            name = row["path"] if Path(row["path"]).suffix else f"{row['path']}.mp3"
            yield Clip(
                path=directory / "clips" / name,
                language=locale if locale in languages else OTHER,
                locale=locale,
                corpus=corpus,
                speaker=f"{corpus}/{row['client_id']}",
                split=split,
            )


def read_manifest(
    table: Path, languages: Sequence[str], splits: Sequence[str] = SPLITS
) -> Iterator[Clip]:
    """Clips of a table: `path, language, speaker, split`, commas or tabs between.

    Paths are relative to the table. A column `corpus` may name the collection, so
    that it is balanced and reported by itself; else the table's name does.

    Raises:
        ConfigError: a column is missing, or a split is none of `SPLITS` and `splits`.

    """
    for row in _rows(table):
        missing = {"path", "language", "speaker", "split"} - set(row)
        if missing:
            raise ConfigError(f"{table}: the column {min(missing)!r} is missing")
        if row["split"] not in {*SPLITS, *splits}:
            raise ConfigError(f"{table}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        if row["split"] not in splits:
            continue
        locale = _base(row["language"])
        corpus = row.get("corpus") or table.stem
        yield Clip(
            path=table.parent / row["path"],
            language=locale if locale in languages else OTHER,
            locale=locale,
            corpus=corpus,
            speaker=f"{corpus}/{row['speaker']}",
            split=row["split"],
        )


def refuse_shared_speakers(clips: Iterable[Clip]) -> None:
    """Make sure that no speaker is in two splits.

    Raises:
        ConfigError: names one speaker and the splits.

    """
    splits: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        splits[clip.speaker].add(clip.split)
    shared = {speaker: found for speaker, found in splits.items() if len(found) > 1}
    if shared:
        speaker, found = next(iter(shared.items()))
        raise ConfigError(
            f"{len(shared)} speakers are in more than one split, for one {speaker} in "
            f"{' and '.join(sorted(found))}: figures from such splits mean nothing; "
            "move all of a speaker's clips into one"
        )


def _base(locale: str) -> str:
    return locale.replace("_", "-").split("-")[0].lower()


def _rows(table: Path) -> Iterator[dict[str, str]]:
    """Yield the rows; Common Voice never quotes, spreadsheets do."""
    with table.open(encoding="utf-8", newline="") as lines:
        header = lines.readline()
        lines.seek(0)
        if "\t" in header:
            yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            yield from csv.DictReader(lines)
