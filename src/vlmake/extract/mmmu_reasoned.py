"""Answers to MMMU-Pro where the model reasons first: what follows the line that starts with ``Answer:``."""

from typing import Any

import pandas as pd

from vlmake.extract import mmmu
from vlmake.extract.answer import MAIN, STRICT, Extraction

_MARK = "Answer:"


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row: the only capital in the answer line, else what MMMU's rules find behind it.

    main takes the last line that starts with ``Answer:`` and counts the capitals behind the mark. ms wants exactly one
    such line and counts those of the whole line, so that the ``A`` of the word itself is one of them. Without such a
    line the whole text is read as for MMMU.

    Source: ``MMMUProDataset`` of VLMEvalKit, both releases, read from their code.
    """
    if protocol == STRICT:
        return mmmu.extract(frame, protocol)
    lines = [_answer_line(text, protocol) for text in frame["prediction"]]
    tails = [
        text if line is None else line.removeprefix(_MARK)
        for text, line in zip(frame["prediction"], lines, strict=True)
    ]
    answers = mmmu.extract(frame.assign(prediction=pd.Series(tails, index=frame.index, dtype=object)), protocol)
    return [_only_capital(line, protocol) or answer for line, answer in zip(lines, answers, strict=True)]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right answer of every row, as for MMMU."""
    return mmmu.gold(frame, protocol)


def _answer_line(text: str, protocol: str) -> str | None:
    """Return the line that holds the answer, without blanks around it."""
    lines = [line for part in text.split("\n") if (line := part.strip()).startswith(_MARK)]
    return lines[-1] if lines and (protocol == MAIN or len(lines) == 1) else None


def _only_capital(line: str | None, protocol: str) -> Extraction | None:
    if line is None:
        return None
    counted = line.removeprefix(_MARK) if protocol == MAIN else line
    letters = {letter for letter in counted if "A" <= letter <= "Z"}
    return Extraction(letters.pop(), "answer_line") if len(letters) == 1 else None
