"""Untrusted text, made visible: what a reader cannot see must not change what a reader sees."""

import re
from itertools import pairwise
from typing import NamedTuple

from vlmake.errors import counted

# Characters that hide, reorder or end text: controls (but for tab and line feed), bidirectional overrides and marks,
# zero-width characters (joiners stay, scripts and emoji need them), line separators, tags, surrogates, non-characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
CUT_AT = 3_000
_BEFORE_SPAN, _AFTER_SPAN, _END = 400, 200, 300


class Piece(NamedTuple):
    """A stretch of a text: ``plain``, ``mark`` (the extracted answer) or ``cut`` (a note about what is left out)."""

    kind: str
    text: str


def visible(text: str) -> str:
    """Return ``text`` with hidden characters written out: ESC as ``␛``, a bidi override as ``⟨U+202E⟩``."""
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 200) -> str:
    """Return ``text`` visible, on one line, and no longer than ``most`` characters."""
    line = " ".join(visible(text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def pieces(text: str, span: tuple[int, int] | None = None, most: int = CUT_AT) -> list[Piece]:
    """Return a text as visible pieces with the span marked; of a long text its start, its span and its end.

    A span that does not lie in the text marks nothing.
    """
    if span is not None and not 0 <= span[0] < span[1] <= len(text):
        span = None
    kept = _kept(len(text), span, most)
    found: list[Piece] = []
    position = 0
    for start, end in kept:
        if start > position:
            found.append(Piece("cut", f"{counted(start - position, 'character')} left out"))
        cuts = [start, end] if span is None else sorted({start, end, *(min(max(edge, start), end) for edge in span)})
        for left, right in pairwise(cuts):
            marked = span is not None and span[0] <= left and right <= span[1]
            found.append(Piece("mark" if marked else "plain", visible(text[left:right])))
        position = end
    return found


def _kept(length: int, span: tuple[int, int] | None, most: int) -> list[tuple[int, int]]:
    """Return which stretches of a text are shown, in order and apart."""
    if length <= most:
        return [(0, length)] if length else []
    near = [(max(0, span[0] - _BEFORE_SPAN), min(span[1] + _AFTER_SPAN, span[0] + most, length))] if span else []
    wanted = sorted([(0, most // 2), *near, (length - _END, length)])
    kept = [wanted[0]]
    for start, end in wanted[1:]:
        if start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((start, end))
    return kept


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
