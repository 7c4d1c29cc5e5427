"""The layers that every strict extractor shares: what the model finally said, in plain characters, with its places.

A strict extractor never guesses: where a careful reader would not be sure, the answer is unresolved and the rule says
why. Places are offsets into the prediction as the model wrote it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

_PLAIN = re.compile(r"[A-Za-z0-9 .,;:!?'()\n-]*")
_OPEN_THOUGHT = re.compile(r"<(?:think|thinking|thought|reasoning)>|◁think▷|<\|begin_of_thought\|>", re.IGNORECASE)
_CLOSED_THOUGHT = re.compile(r"</(?:think|thinking|thought|reasoning)>|◁/think▷|<\|end_of_thought\|>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.IGNORECASE | re.DOTALL)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_DROPPED = re.compile(
    r"<\|[^<>|]{1,40}\|>|</?s>|<eos>|<bos>|<pad>"  # special tokens
    r"|\*+|~~|`+|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|^[ \t]*#{1,6}[ \t]+|^[ \t]*>[ \t]+"  # Markdown
    r"|\\[(\[\])]|\$+|\\(?:displaystyle|left|right)\b|\\[,;!]",  # LaTeX
    re.MULTILINE,
)
_LATEX_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|tt)?|mathrm|mathbf|mathit|mathsf|operatorname)\s*\{([^{}]*)\}")
_BOXED = re.compile(r"\\f?boxed\s*\{([^{}]*)\}")
_BOX_OPEN, _BOX_CLOSE = "\ue000", "\ue001"  # private characters that stand for a box's borders


class Plain(NamedTuple):
    """A cleaned text; ``places[i]`` is where its i-th character stands in the prediction."""

    text: str
    places: "range | list[int]"

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the prediction of ``text[start:end]``, which is not empty."""
        return self.places[start], self.places[end - 1] + 1

    def part(self, start: int, end: int) -> "Plain":
        """Return a piece of the text."""
        return Plain(self.text[start:end], self.places[start:end])


class Final(NamedTuple):
    """What a prediction says in the end: its cleaned text, or the reason why there is none."""

    plain: Plain
    problem: str | None = None


@lru_cache(maxsize=8192)
def final_text(prediction: str | None) -> Final:
    """Return the prediction without its reasoning, markup and invisible characters.

    Reasoning ends at the last closing tag; an ``<answer>`` tag after it holds the answer. Problems: ``no_prediction``,
    ``empty``, ``unclosed_reasoning`` (a reasoning tag is opened and not closed, so the answer never came).
    """
    nothing = Plain("", range(0))
    if prediction is None:
        return Final(nothing, "no_prediction")
    plain = Plain(prediction, range(len(prediction)))
    if not _PLAIN.fullmatch(prediction):
        start, end = 0, len(prediction)
        if "<" in prediction or "◁" in prediction:
            for closed in _CLOSED_THOUGHT.finditer(prediction):
                start = closed.end()
            if _OPEN_THOUGHT.search(prediction, start):
                return Final(nothing, "unclosed_reasoning")
            for tag in _ANSWER_TAG.finditer(prediction, start):
                if tag[1].strip():
                    start, end = tag.span(1)
        plain = _clean(plain.part(start, end))
    if not plain.text.strip():
        return Final(nothing, "empty")
    return Final(plain)


def plain_text(text: str) -> str:
    """Return a text (an option, a gold answer) cleaned as predictions are, with single blanks."""
    return " ".join(_clean(Plain(text, range(len(text)))).text.split())


def last_box(plain: Plain) -> Plain | None:
    r"""Return what the last ``\boxed{}`` of a cleaned text holds."""
    end = plain.text.rfind(_BOX_CLOSE)
    start = plain.text.rfind(_BOX_OPEN, 0, max(end, 0))
    return plain.part(start + 1, end) if start >= 0 else None


def without_boxes(plain: Plain) -> Plain:
    """Return the text with blanks where the borders of boxes stand."""
    if _BOX_OPEN not in plain.text:
        return plain
    return Plain(plain.text.replace(_BOX_OPEN, " ").replace(_BOX_CLOSE, " "), plain.places)


def stripped(plain: Plain, characters: str | None = None) -> Plain:
    """Return the text without the given characters (blanks) at its ends."""
    text = plain.text.strip(characters)
    start = len(plain.text) - len(plain.text.lstrip(characters))
    return plain.part(start, start + len(text))


def _clean(plain: Plain) -> Plain:
    text = plain.text
    if not text.isascii():
        plain = _replace(plain, _NOT_ASCII, lambda match: _compatible(match[0]))
    if "\\" in plain.text:
        for _ in range(3):  # \boxed{\text{\mathrm{B}}} nests, and not deeper than this in practice
            plain = _replace(plain, _LATEX_TEXT, _group)
        plain = _replace(plain, _BOXED, _boxed)
    return _replace(plain, _DROPPED, lambda match: iter(()))


def _compatible(run: str) -> Iterator[tuple[str, int]]:
    """Yield each character in its compatible form (full-width letters become plain), invisible ones left out."""
    for offset, letter in enumerate(run):
        if unicodedata.category(letter) in ("Cf", "Mn") and letter not in "\u0300\u0301":
            continue  # zero-width characters, marks of direction, variation selectors
        yield (
            {"’": "'", "‘": "'", "“": '"', "”": '"', "【": "[", "】": "]"}.get(
                letter, unicodedata.normalize("NFKC", letter)
            ),
            offset,
        )


def _group(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    offset = match.start(1) - match.start()
    return ((letter, offset + n) for n, letter in enumerate(match[1]))


def _boxed(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    yield _BOX_OPEN, 0
    yield from _group(match)
    yield _BOX_CLOSE, len(match[0]) - 1


def _replace(
    plain: Plain, pattern: re.Pattern[str], form: Callable[[re.Match[str]], Iterator[tuple[str, int]]]
) -> Plain:
    """Return ``plain`` with every match replaced by the (text, offset in the match) pairs that ``form`` yields."""
    texts: list[str] = []
    places: list[int] = []
    last = 0
    for match in pattern.finditer(plain.text):
        texts.append(plain.text[last : match.start()])
        places += plain.places[last : match.start()]
        for text, offset in form(match):
            texts.append(text)
            places += [plain.places[match.start() + offset]] * len(text)
        last = match.end()
    if not last and not texts:
        return plain
    texts.append(plain.text[last:])
    places += plain.places[last:]
    return Plain("".join(texts), places)
