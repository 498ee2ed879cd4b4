"""Names that people chose, made fit for topics and for text."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

SLUG: Final = re.compile(r"[a-z0-9_-]+")
"""What a node's or a source's part of a topic holds."""

LONGEST: Final = 64
"""Characters of a slug at most: Home Assistant makes identifiers of two of them."""

# Russian as passports write it (ICAO Doc 9303) where that is readable; the further letters
# of Uzbek, Tajik, Kazakh, Kyrgyz, Ukrainian and Belarusian as their Latin alphabets do; then
# Latin letters that no decomposition takes apart. Apostrophes (oʻ, gʻ, сʼезд) are part of a
# letter, not a gap between words.
_SPELLINGS: Final = """
а=a б=b в=v г=g д=d е=e ё=yo ж=zh з=z и=i й=y к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh
ц=ts ч=ch ш=sh щ=shch ъ= ы=y ь= э=e ю=yu я=ya
ў=o қ=q ғ=g ҳ=h ҷ=j ӣ=i ӯ=u ә=a ң=n ө=o ұ=u ү=u һ=h і=i ї=yi є=ye ґ=g
ı=i ø=o ł=l đ=d ð=d þ=th æ=ae œ=oe '= `= ´= ʻ= ʼ= ‘= ’=
"""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LETTERS: Final = {pair[0]: pair[2:] for pair in _SPELLINGS.split()}


def slug(name: str) -> str:
    """Return the name as it stands in a topic: `[a-z0-9_-]`, readable, at most 64 characters.

    Cyrillic is transliterated, accents are removed, and whatever separates words becomes one
    hyphen. A slug's slug is itself.

    Raises:
        ConfigError: Letters would be lost, nothing would be left, or it is too long.

    """
    written, lost = [], []
    for character in unicodedata.normalize("NFC", name).casefold():
        if character in _LETTERS:
            written.append(_LETTERS[character])
            continue
        for part in unicodedata.normalize("NFKD", character):
            if part in _LETTERS:
                written.append(_LETTERS[part])
            elif part.isascii() and (part.isalnum() or part == "_"):
                written.append(part.lower())
            elif unicodedata.category(part)[0] in "LN":
                lost.append(character)
            elif not unicodedata.combining(part):
                written.append("-")
    text = re.sub(r"-+", "-", "".join(written)).strip("-")
    if lost or not re.search(r"[a-z0-9]", text):
        cause = f"{lost[0]!r} has no" if lost else "it has no letter or digit with a"
        raise ConfigError(
            f"name {name!r} cannot be made into an MQTT topic: {cause} Latin spelling here; "
            "choose a name in Latin or Cyrillic letters or digits"
        )
    if len(text) > LONGEST:
        raise ConfigError(
            f"name {name!r} is too long for an MQTT topic: {len(text)} characters; "
            f"at most {LONGEST} are allowed"
        )
    return text


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Return each name with its slug.

    Raises:
        ConfigError: A name has no slug, or two names would share one.

    """
    taken: dict[str, str] = {}
    for name in names:
        text = slug(name)
        if text in taken:
            raise ConfigError(
                f"sources {taken[text]!r} and {name!r} would share the topic {text}; "
                "each name must make its own"
            )
        taken[text] = name
    return {name: text for text, name in taken.items()}


def valid_text(text: str) -> str:
    """Return the text with U+FFFD in place of what is no character.

    Python keeps bytes of a file name that are not UTF-8 as lone surrogates, which no JSON
    and no UTF-8 may hold.
    """
    return _SURROGATE.sub("\ufffd", text)


def host_and_port(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
