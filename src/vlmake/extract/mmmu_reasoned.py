"""Answers to MMMU-Pro where the model reasons first: what follows the last line that starts with ``Answer:``."""

import re
from typing import Any

import pandas as pd

from vlmake.extract import mmmu
from vlmake.extract.answer import MAIN, STRICT, Extraction

_ANSWER_LINE = re.compile(r"^Answer:(.*)$", re.MULTILINE)
_CAPITAL = re.compile(r"[A-Z]")


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row: the only capital letter in the answer line, else what MMMU's rules find.

    main reads behind the last ``Answer:``. ms wants exactly one such line and counts the ``A`` of the word itself, so
    that it finds no letter but A there. Source: VLMEvalKit's ``MMMUProDataset``, read from its code.
    """
    answers = mmmu.extract(frame, protocol)
    if protocol == STRICT:
        return answers
    seen = zip(frame["prediction"], frame["raw"], answers, strict=True)
    return [_from_line(text, text == raw, protocol) or answer for text, raw, answer in seen]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right answer of every row, as for MMMU."""
    return mmmu.gold(frame, protocol)


def _from_line(text: str, own: bool, protocol: str) -> Extraction | None:
    lines = list(_ANSWER_LINE.finditer(text))
    if not lines or (protocol != MAIN and len(lines) != 1):
        return None
    start, end = lines[-1].span(1 if protocol == MAIN else 0)
    letters = set(_CAPITAL.findall(text, start, end))
    if len(letters) != 1:
        return None
    letter = letters.pop()
    place = text.index(letter, start, end)
    return Extraction(letter, "answer_line", *((place, place + 1) if own else (None, None)))
