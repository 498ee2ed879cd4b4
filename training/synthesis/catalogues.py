"""Sentences out of gettext catalogues: text that every Linux machine has, in many languages.

Programs' messages (`…/<locale>/LC_MESSAGES/*.mo`, or `.po` files) give espeak-ng
something to say. Only what can be read aloud is taken: no placeholders, markup, paths,
and nothing in a script that is not the language's own, which espeak-ng would read with
another language's voice.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCRIPTS: Final = {
    "uz": "LATIN",
    "en": "LATIN",
    "az": "LATIN",
    "tr": "LATIN",
    "tk": "LATIN",
    "ru": "CYRILLIC",
    "kk": "CYRILLIC",
    "ky": "CYRILLIC",
    "tt": "CYRILLIC",
    "ba": "CYRILLIC",
    "tg": "CYRILLIC",
    "uk": "CYRILLIC",
    "bg": "CYRILLIC",
    "ug": "ARABIC",
    "ar": "ARABIC",
    "fa": "ARABIC",
    "ur": "ARABIC",
    "hi": "DEVANAGARI",
    "el": "GREEK",
    "ka": "GEORGIAN",
    "hy": "ARMENIAN",
}
"""The script of each language that is worth the knowing; Latin where it is not here."""

_UNSPEAKABLE: Final = re.compile(r"[%{}<>\[\]\\/|=$@#*^~\d]|&[a-z]+;|--|::|\.\w|_\w*_|[A-Z]{3,}")
_ACCELERATOR: Final = re.compile(r"(?<!\w)[_&](?=\w)|(?<=\w)[_&](?=\w)|\(_\w\)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?։؟।])\s+")
_PO_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


def catalogue_sentences(
    directories: Iterable[Path], language: str, *, words: tuple[int, int] = (4, 18)
) -> list[str]:
    """Read all sentences of a language, without repeats, in a fixed order.

    `language` is a code such as `uz`; of locales such as `uz@cyrillic` only those in the
    language's script give anything. English is what the programs themselves say (the
    `msgid`s). `words`: the fewest and the most in a sentence.
    """
    found: dict[str, None] = {}
    for directory in directories:
        for path in _catalogue_files(directory, language):
            for message in _messages(path, language):
                for sentence in _SENTENCE_END.split(message):
                    clean = speakable(sentence, language, words=words)
                    if clean is not None:
                        found.setdefault(clean)
    return sorted(found)


def speakable(text: str, language: str, *, words: tuple[int, int] = (4, 18)) -> str | None:
    """Give `text` as one clean line, or None where it cannot be read aloud as it stands."""
    line = " ".join(_ACCELERATOR.sub("", text).split()).strip(" \"'-–—:;,«»“”„")
    if _UNSPEAKABLE.search(line) or not words[0] <= len(line.split()) <= words[1]:
        return None
    letters = [character for character in line if character.isalpha()]
    script = SCRIPTS.get(language, "LATIN")
    if not letters or any(
        not unicodedata.name(letter, "").startswith((script, "MODIFIER")) for letter in letters
    ):
        return None
    return line


def _catalogue_files(directory: Path, language: str) -> Iterator[Path]:
    locales = (language, f"{language}_*", f"{language}@*")
    if language == "en":
        # Every catalogue's keys are English; a well-translated language has most of them.
        locales = ("ru", "en_GB", "en")
    for locale in locales:
        for path in sorted(directory.rglob(f"{locale}/LC_MESSAGES/*.mo")):
            # ISO's names of places, languages and people: names belong to no language.
            if not path.name.startswith("iso_"):
                yield path
        yield from sorted(directory.rglob(f"{locale}.po"))


def _messages(path: Path, language: str) -> Iterator[str]:
    pairs = _read_po(path) if path.suffix == ".po" else _read_mo(path)
    for original, translated in pairs:
        text = original if language == "en" else translated
        # An entry that repeats its key was never translated: it is English still.
        if text and (language == "en" or translated != original):
            yield text


def _read_mo(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as stream:
        try:
            catalogue = gettext.GNUTranslations(stream)
        except (UnicodeDecodeError, OSError, LookupError):
            return  # not a catalogue of text we could read: there are thousands more
    entries = catalogue._catalog  # type: ignore[attr-defined]  # noqa: SLF001 - the only way to all of them
    for key, value in entries.items():
        original = key[0] if isinstance(key, tuple) else key
        yield original.rpartition("\x04")[2], value


def _read_po(path: Path) -> Iterator[tuple[str, str]]:
    for entry in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        if "\n#, fuzzy" in f"\n{entry}" or "\n#~" in f"\n{entry}":
            continue
        fields: dict[str, str] = {}
        name = ""
        for line in entry.splitlines():
            if line.startswith("msg"):
                name = line.split(maxsplit=1)[0]
            if (match := _PO_STRING.search(line)) and name and not line.startswith("#"):
                text = match[1].replace('\\"', '"').replace("\\n", "\n")
                fields[name] = fields.get(name, "") + text
        yield fields.get("msgid", ""), fields.get("msgstr", fields.get("msgstr[0]", ""))
