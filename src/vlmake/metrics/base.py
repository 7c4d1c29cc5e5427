"""What a metric is, what it returns, and the few sums that several metrics share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Cell = str | float | int | None


@dataclass(frozen=True)
class Overall:
    """The one number by which a benchmark is quoted: its name in the table, its value, and how many units it counts."""

    name: str
    value: float | None
    n: int


@dataclass(frozen=True)
class ScoreTable:
    """A score table: one list a row, NaN where a cell has no samples.

    ``more`` holds further tables by name; each is the columns and the rows. ``missing`` names the categories that the
    table knows and no row has, as in a subset of a benchmark.
    """

    columns: list[str]
    rows: list[list[Cell]]
    overall: Overall
    more: dict[str, tuple[list[str], list[list[Cell]]]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """How a benchmark's answers are counted.

    Every function gets the judged frame: one row a sample that takes part, with the benchmark's columns as the
    protocol sees them, ``index`` (text), ``gold`` (as the task's extractor gives it) and ``extracted`` (text or None).

    Attributes:
        hits: Returns how right every row is, 0 to 1.
        table: Returns the score table; its frame also has ``hit``.
        group_hits: Where several rows make one question: returns the question's hit on its main row and NaN on the
            others, from a frame with ``hit``. None where every row counts by itself.
    """

    hits: Callable[[pd.DataFrame], Floats]
    table: Callable[[pd.DataFrame], ScoreTable]
    group_hits: Callable[[pd.DataFrame], Floats] | None = None


def equal_hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the extracted answer is the gold answer, else 0."""
    pairs = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array([answer == gold for answer, gold in pairs], dtype=np.float64)


def mean(values: Any) -> float:
    """Return the mean, NaN for no values (without numpy's warning)."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()) if numbers.size else float("nan")


def in_order(judged: pd.DataFrame, column: str) -> list[Any]:
    """Return the distinct values of a column in order of first appearance, without missing ones; [] if it is absent."""
    return list(dict.fromkeys(judged[column].dropna().tolist())) if column in judged else []


def in_sorted_order(judged: pd.DataFrame, column: str) -> list[Any]:
    """Return the distinct values of a column, sorted; numbers before texts where both occur."""
    return sorted(in_order(judged, column), key=lambda value: (isinstance(value, str), value))


def groups(judged: pd.DataFrame, column: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield (value, its rows) of a column, values in order of first appearance."""
    for value in in_order(judged, column):
        yield value, judged[judged[column] == value]


def one_row(scores: dict[str, float | None], overall: Overall) -> ScoreTable:
    """Return the table of a benchmark whose result is a single row of named numbers."""
    return ScoreTable(list(scores), [list(scores.values())], overall)
