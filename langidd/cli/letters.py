"""Letters five lines high, for the current language."""

from __future__ import annotations

from typing import Final

# Three columns by five rows, row by row; `1` is a filled cell.
_LETTERS: Final = {
    "a": "010101111101101", "b": "110101110101110", "c": "011100100100011",
    "d": "110101101101110", "e": "111100110100111", "f": "111100110100100",
    "g": "011100101101011", "h": "101101111101101", "i": "111010010010111",
    "j": "001001001101010", "k": "101101110101101", "l": "100100100100111",
    "m": "101111111101101", "n": "110101101101101", "o": "010101101101010",
    "p": "110101110100100", "q": "010101101110011", "r": "110101110101101",
    "s": "011100010001110", "t": "111010010010010", "u": "101101101101111",
    "v": "101101101101010", "w": "101101111111101", "x": "101101010101101",
    "y": "101101010010010", "z": "111001010100111", "-": "000000111000000",
}  # fmt: skip

_MIDDLE: Final = 2


def big(word: str) -> list[str]:
    """Return the word in five lines; a character without a big form is shown small."""
    lines = [""] * 5
    for character in word.lower():
        bits = _LETTERS.get(character)
        for row in range(5):
            if bits is None:
                ink = f"  {character if row == _MIDDLE else ' '}   "
            else:
                ink = "".join("██" if bit == "1" else "  " for bit in bits[row * 3 : row * 3 + 3])
            lines[row] += ink + "  "
    return lines
