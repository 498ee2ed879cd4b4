"""Text of others as it may stand in a line: names of files, paths, messages of drivers."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return the text in one line, with an escape for each character that is not printable.

    A newline becomes `\n`, a terminal's escape character `\x1b`, and a byte of a file name that
    is not UTF-8 (which Python keeps as a surrogate, PEP 383) `\xff`.
    """
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode("ascii")
