"""What every format is made from: the benchmark's rows in its order, each with what the model answered."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from vlmake.errors import VlmakeError, counted
from vlmake.extract import multiple_choice
from vlmake.extract.answer import STRICT, UNANSWERED, Extraction

_NOT_OF_THE_BENCHMARK = ("image", "images", "image_error", "group")


class Gaps(NamedTuple):
    """What a submission lacks: rows without a prediction, rows in whose prediction no answer was found, cut texts."""

    unanswered: int
    unresolved: int = 0
    cut: int = 0

    def line(self, rows: int) -> str:
        """Say what is missing from a file of so many rows; an empty text when nothing is."""
        parts = [f"{self.unanswered} without a prediction"] if self.unanswered else []
        parts += [f"{self.unresolved} without a clear answer in it"] if self.unresolved else []
        parts += [f"{self.cut} cut to what a cell holds"] if self.cut else []
        return f"of {counted(rows, 'row')} {', '.join(parts)}" if parts else ""


def gaps(rows: pd.DataFrame, answers: Sequence[Extraction] = (), cut: int = 0) -> Gaps:
    """Count what is missing, of rows with ``status`` and of the answers that were read from them, if any were."""
    unanswered = rows["status"].isin(UNANSWERED).tolist()
    unresolved = sum(not answer.found and not gone for answer, gone in zip(answers, unanswered, strict=bool(answers)))
    return Gaps(sum(unanswered), unresolved, cut)


def benchmark_columns(samples: pd.DataFrame) -> list[str]:
    """Return the names of the benchmark's own columns, images left out."""
    return [str(name) for name in samples.columns if name not in _NOT_OF_THE_BENCHMARK]


def letters(rows: pd.DataFrame) -> list[Extraction]:
    """Return the option that every row's answer names, read strictly."""
    return multiple_choice.extract(rows, STRICT)


def text(value: object) -> str:
    """Return a cell as text; an empty one for None."""
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]  # cells are scalars


def identifiers(samples: pd.DataFrame, column: str) -> list[str]:
    """Return a column by which a server knows its questions; VlmakeError unless every row has one of its own."""
    if column not in samples.columns:
        raise VlmakeError(f"the benchmark has no column '{column}', by which the server knows its questions")
    names = [text(value) for value in samples[column].tolist()]
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise VlmakeError(f"row {number} has no '{column}', by which the server knows its questions")
        if seen.setdefault(name, number) != number:
            raise VlmakeError(f"rows {seen[name]} and {number} have the same '{column}' {name!r}")
    return names
