"""Texts in a table cell: lists as Python or JSON writes them, read without evaluating anything, and references."""

import re

# One quoted text of a list as Python or JSON writes it, and what follows it.
_ITEM = re.compile(r"""\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)")\s*(,|\Z)""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\n": ""}

REFERENCE_LENGTH = 64
"""An ``image`` cell of up to so many characters is the index of the row whose image it shares."""


def list_items(text: str) -> list[str] | None:
    """Return the texts of a list like ``['a', "b"]`` as Python or JSON writes it, or None if its items are others.

    ``text`` starts and ends with the brackets. An item is a quoted text with backslash escapes.
    """
    inside = text[1:-1].strip()
    items: list[str] = []
    place = 0
    while place < len(inside):
        match = _ITEM.match(inside, place)
        if match is None:
            return None
        single, double, _ = match.groups()
        items.append(_unescape(double if single is None else single))
        place = match.end()
    return items


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    # JSON writes letters beyond the first 65,536 as two escapes, which are joined here.
    return _ESCAPE.sub(_unescape_one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape_one(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _ESCAPED.get(match[4], match[4])
    number = int(code, 16)
    return chr(number) if number < 0x110000 else "\ufffd"
