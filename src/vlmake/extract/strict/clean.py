r"""Plain characters for strict extractors: markup, LaTeX and special tokens are taken out, places are kept.

Two kinds of markup say something about the answer and stay as private characters: boxes (``\boxed{}``,
``<|begin_of_box|>``) and emphasis (``**bold**``). What a text strikes through (``~~B~~``) is taken back, and dropped.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

TRIM = " \t\r\n\"'“”‘’「」《》.。!！,，;；:："
"""What may stand around an answer and is no part of it."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_DROPPED = re.compile(
    r"<\|(?:box|quad)_start\|>[^<>]{0,80}<\|(?:box|quad)_end\|>|<box>[^<>]{0,80}</box>"  # places in the picture
    r"|<\|[^<>|]{1,40}\|>|</?s>|^\s*\[/?INST\]\s*|<eos>|<bos>|<pad>|</?(?:ref|b|i|em|strong|u|p|span|br|output"
    r"|response)\s*/?>"  # tokens, HTML
    r"|^[ \t]*```+[A-Za-z]*[ \t]*$|^[ \t]*[*+•‣▪][ \t]+"  # fences with their language; bullets
    r"|\*+|`+|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|^[ \t]*#{1,6}[ \t]+|^[ \t]*>[ \t]+"  # Markdown
    r"|\\[(\[\])]|\\(?:displaystyle|left|right)\b|\\!"  # LaTeX
    # A dollar is a border of maths by pandoc's rule: no blank inside, no digit behind the closing one.
    r"|\$\$|\$(?=[^\s$][^$\n]{0,400}(?<=\S)\$(?!\d))|(?<=[^\s\\])\$(?!\d)",
    re.MULTILINE,
)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~|~~")
_MATHS = re.compile(
    r"\\[dt]?frac\s*\{(?P<top>[^{}]*)\}\s*\{(?P<bottom>[^{}]*)\}|\\[dt]?frac\s*(?P<over>\d)\s*(?P<under>\d)"
    r"|\\(?P<word>pi|cdot|times|degree|leq|geq|le|ge|pm|infty|angle|triangle|sqrt)(?![A-Za-z])\s?"
    r"|\^\s*(?:\{\s*)?\\circ(?:\s*\})?(?P<circle>)"
)
_SYMBOLS = {"pi": "π", "cdot": "·", "times": "×", "degree": "°", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥"} | {
    "pm": "±", "infty": "∞", "angle": "∠", "triangle": "△", "sqrt": "√"
}  # fmt: skip
_SPACE = re.compile(r"\\[,;: ]|\\quad\b|\\qquad\b")
_ESCAPED = re.compile(r"\\([%$#&_{}])")
_LATEX_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|normal)?|mathrm|mathbf|mathit|mathsf|mathbb|boldsymbol|operatorname)\s*\{([^{}]*)\}"
)
_BRACES = re.compile(r"\\f?boxed\s*\{|[{}]")
_TOKEN_BOX = re.compile(r"<\|begin_of_box\|>|<\|end_of_box\|>")
_BOLD = re.compile(r"(\*\*|__|(?<!`)`)(?=[^\s`])([^*_\n`]{1,200}?)(?<=\S)\1(?![\w`])")
_BOX_OPEN, _BOX_CLOSE = "\ue000", "\ue001"
_BOLD_OPEN, _BOLD_CLOSE = "\ue002", "\ue003"
_MARKS = re.compile(f"[{_BOX_OPEN}-{_BOLD_CLOSE}]+")
_BOX_BORDER = re.compile(f"[{_BOX_OPEN}{_BOX_CLOSE}]")
_BOLD_PIECE = re.compile(f"{_BOLD_OPEN}([^{_BOX_OPEN}-{_BOLD_CLOSE}]*){_BOLD_CLOSE}")
_SINGLE = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "【": "[",
        "】": "]",
        "『": '"',
        "』": '"',
        "−": "-",
        "„": '"',
        "«": '"',
        "»": '"',
    }
)


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


def clean(plain: Plain) -> Plain:
    """Return the text in plain characters, with boxes and emphasis as private marks."""
    if not plain.text.isascii():
        plain = _replace(plain, _NOT_ASCII, lambda match: _compatible(match[0]))
    if "<|" in plain.text:
        plain = _replace(plain, _TOKEN_BOX, lambda match: iter([(_BOX_OPEN if "begin" in match[0] else _BOX_CLOSE, 0)]))
    if "\\" in plain.text:
        for _ in range(3):  # \boxed{\text{\mathrm{B}}} nests, and not deeper than this in practice
            plain = _replace(plain, _LATEX_TEXT, _group)
        plain = _replace(_boxed(plain), _SPACE, lambda match: iter([(" ", 0)]))
    if "~~" in plain.text:
        plain = _replace(plain, _STRUCK, lambda match: iter(()))
    plain = _replace(plain, _BOLD, _bold)
    plain = _replace(plain, _DROPPED, lambda match: iter(()))
    return _replace(plain, _ESCAPED, lambda match: iter([(match[1], 1)])) if "\\" in plain.text else plain


def maths(plain: Plain) -> Plain:
    r"""Return the text with the commonest LaTeX as options write it: ``\frac{1}{6}`` is 1/6, ``\pi`` is π."""
    return _replace(plain, _MATHS, _maths) if "\\" in plain.text else plain


def plain_text(text: str) -> str:
    """Return a text (an option, a gold answer) cleaned as predictions are, with single blanks and no marks."""
    return " ".join(unmarked(clean(Plain(text, range(len(text))))).text.split())


def last_box(plain: Plain) -> Plain | None:
    r"""Return what the last ``\boxed{}`` of a cleaned text holds."""
    end = plain.text.rfind(_BOX_CLOSE)
    start = plain.text.rfind(_BOX_OPEN, 0, max(end, 0))
    return unmarked(plain.part(start + 1, end)) if start >= 0 else None


def emphasised(plain: Plain) -> list[Plain]:
    """Return the bold pieces of a cleaned text, in order; bold headings such as ``**Answer:**`` are left out."""
    pieces = [plain.part(*match.span(1)) for match in _BOLD_PIECE.finditer(plain.text)]
    return [piece for piece in pieces if piece.text.strip() and piece.text.rstrip()[-1] not in ":："]


def unmarked(plain: Plain) -> Plain:
    """Return the text without marks; a box's borders become blanks."""
    if plain.text.isascii():
        return plain
    return _replace(plain, _MARKS, lambda match: iter([(" ", 0)] if _BOX_BORDER.search(match[0]) else ()))


def stripped(plain: Plain, characters: str | None = None) -> Plain:
    """Return the text without the given characters (blanks) at its ends."""
    text = plain.text.strip(characters)
    start = len(plain.text) - len(plain.text.lstrip(characters))
    return plain.part(start, start + len(text))


def _compatible(run: str) -> Iterator[tuple[str, int]]:
    """Yield each character in its compatible form (full-width letters become plain), invisible ones left out.

    Raised, lowered, fraction and circled characters stay: m² is not m2, 3½ is not 31/2, and ①② is not 12.
    """
    for offset, letter in enumerate(run):
        if unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f":
            continue  # zero-width characters, marks of direction, variation selectors
        kind = unicodedata.decomposition(letter)
        if kind.startswith(("<super>", "<sub>", "<fraction>")) or (kind.startswith("<circle>") and letter.isdigit()):
            yield letter, offset
        else:
            yield unicodedata.normalize("NFKC", letter.translate(_SINGLE)), offset


def _group(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    offset = match.start(1) - match.start()
    return ((letter, offset + n) for n, letter in enumerate(match[1]))


def _maths(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    if match["word"]:
        yield _SYMBOLS[match["word"]], 0
    elif match["circle"] is not None:
        yield "°", 0
    else:
        for group, between in (
            ("top" if match["top"] is not None else "over", "/"),
            ("bottom" if match["bottom"] is not None else "under", ""),
        ):
            offset = match.start(group) - match.start()
            yield from ((letter, offset + n) for n, letter in enumerate(match[group]))
            if between:
                yield between, offset


def _bold(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    yield _BOLD_OPEN, 0
    yield from ((letter, len(match[1]) + n) for n, letter in enumerate(match[2]))
    yield _BOLD_CLOSE, len(match[0]) - 1


def _boxed(plain: Plain) -> Plain:
    r"""Return the text with the borders of every closed ``\boxed{…}`` as marks; braces inside it may nest."""
    opened: list[tuple[int, int, bool]] = []
    marks: dict[int, tuple[int, str]] = {}  # start → (end, mark)
    for match in _BRACES.finditer(plain.text):
        if match[0] != "}":
            opened.append((*match.span(), match[0] != "{"))
        elif opened:
            start, end, is_box = opened.pop()
            if is_box:
                marks[start], marks[match.start()] = (end, _BOX_OPEN), (match.end(), _BOX_CLOSE)
    if not marks:
        return plain
    texts, places, last = [], list[int](), 0
    for start, (end, mark) in sorted(marks.items()):
        texts += [plain.text[last:start], mark]
        places += [*plain.places[last:start], plain.places[start]]
        last = end
    return Plain("".join([*texts, plain.text[last:]]), [*places, *plain.places[last:]])


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
