"""What the readers of mathematical answers share: options in one cell, bare numbers, boxes."""

import ast
import re
import string
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import Plain, clean, last_box, stripped, unmarked
from vlmake.extract.strict.reading import spoken_place
from vlmake.extract.vlmevalkit_view import through_spreadsheet

_LONGEST_LIST = 20_000
_NUMBER = re.compile(r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,2})?")
_AROUND = " \t\r\n$*`\"'。"
_BOX = re.compile(r"\\f?boxed\s*\{|<\|begin_of_box\|>")


def options_in(cell: Any) -> dict[str, str]:
    """Return the options of a ``choices`` cell, a Python list of literals, by letter; none for any other cell."""
    listed = literal_list(cell) if isinstance(cell, str) else None
    return dict(zip(string.ascii_uppercase, map(str, listed or []), strict=False))


def literal_list(text: str) -> list[Any] | None:
    """Return the list that a text writes in Python's literals; None for any other text. Nothing is run."""
    if not text.lstrip().startswith("[") or len(text) > _LONGEST_LIST:
        return None
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def number_text(text: str) -> str | None:
    """Return the number that a text is, without what may stand around it and between thousands; None for any other."""
    bare = text.strip(_AROUND).replace("−", "-").removesuffix(".").strip(_AROUND)
    return bare.replace(",", "") if _NUMBER.fullmatch(bare) else None


def read_bare(raw: str) -> Extraction | None:
    r"""Return the number that a prediction is as a whole, or what its only ``\boxed{}`` holds; None for neither."""
    place = spoken_place(raw)
    if place is None:
        return None
    whole = stripped(Plain(raw, range(len(raw))).part(*place))
    if number := number_text(whole.text):
        return Extraction(number, "number", *whole.span(0, len(whole.text)), confidence="high")
    if len(_BOX.findall(whole.text)) != 1:
        return None
    box = last_box(clean(whole))
    if box is None or not (inside := stripped(unmarked(box))).text:
        return None
    return Extraction(inside.text, "boxed", *inside.span(0, len(inside.text)), confidence="high")


def as_read_again(texts: Sequence[str | None]) -> list[Any]:
    """Return texts as VLMEvalKit reads them from a file of its own: a column of numbers is numeric, ``NA`` missing."""
    none = pd.DataFrame(index=range(len(texts)))
    return through_spreadsheet(none, texts, formulas=False)["prediction"].tolist()
