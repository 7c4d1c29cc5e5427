"""Scores as the tables of a page: the overview, and a benchmark's columns with the protocols side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vlmake.report.scores import ABSENT, Cell, Score, Table, number, places

LINES_PER_TABLE = 8
"""A benchmark's columns stand in tables of so many lines, side by side where there is room."""


class Value(NamedTuple):
    """A number as text, and whether it differs from the configured protocol's."""

    text: str
    differs: bool = False


class SplitTable(NamedTuple):
    """A part of a benchmark's table, turned: columns became lines, and every protocol has a column."""

    title: str
    lines: list[tuple[str, list[Value]]]


class Heading(NamedTuple):
    """A row's or column's name in the overview; of a dataset also its overall number's name and size."""

    name: str
    overall: str = ""
    n: str = ""


class Overview(NamedTuple):
    """Models by datasets; datasets go down the side where they are many."""

    corner: str
    columns: list[Heading]
    rows: list[tuple[Heading, list[Score | None]]]


def overview(scores: Sequence[Score], widest: int = 8) -> Overview:
    """Return every score in its place; more than ``widest`` datasets become rows where models are fewer."""
    models = {name: Heading(name) for name in dict.fromkeys(sorted(score.model for score in scores))}
    by_dataset: dict[str, list[Score]] = {}
    for score in sorted(scores, key=lambda score: (score.dataset, score.judged_by)):
        by_dataset.setdefault(score.shown_as, []).append(score)
    datasets = {
        name: Heading(
            name,
            _joined(score.configured.overall.name for score in group),
            _joined(score.configured.overall.n for score in group),
        )
        for name, group in by_dataset.items()
    }
    place = {(score.model, score.shown_as): score for score in scores}
    if len(datasets) > max(widest, len(models)):
        lines = [(heading, [place.get((model, name)) for model in models]) for name, heading in datasets.items()]
        return Overview("dataset", list(models.values()), lines)
    lines = [(heading, [place.get((name, dataset)) for dataset in datasets]) for name, heading in models.items()]
    return Overview("model", list(datasets.values()), lines)


def split_tables(score: Score) -> list[SplitTable]:
    """Return a score's table: one table a split, long ones in several; protocols in the order of the score."""
    return _split_tables(score.metric, [score.protocols[name] for name in score.protocol_names])


def more_tables(score: Score) -> list[tuple[str, list[SplitTable]]]:
    """Return a score's further tables by name, each as ``split_tables`` gives the first."""
    parts = [score.protocols[name].more for name in score.protocol_names]
    nothing = Table(columns=[], rows=[])
    names = dict.fromkeys(name for part in parts for name in part)
    return [(name, _split_tables(score.metric, [part.get(name, nothing) for part in parts])) for name in names]


def _split_tables(metric: str, parts: Sequence[Table]) -> list[SplitTable]:
    decimals = places(metric, parts)
    by_protocol = [_cells(part) for part in parts]
    found: list[SplitTable] = []
    for split in dict.fromkeys(split for cells in by_protocol for split in cells):
        columns = dict.fromkeys(column for cells in by_protocol for column in cells.get(split, {}))
        lines = [
            (column, _values([cells.get(split, {}) for cells in by_protocol], column, decimals)) for column in columns
        ]
        title = " · ".join(split)
        size = -(-len(lines) // -(-len(lines) // LINES_PER_TABLE)) if lines else 1  # parts of even length
        found += [SplitTable(title, lines[start : start + size]) for start in range(0, len(lines), size)]
    return found


def _cells(score: Table) -> dict[tuple[str, ...], dict[str, Cell]]:
    """Return a table's numbers by what names their row and by column."""
    labels = score.label_columns()
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    for place, row in enumerate(score.rows):
        split = tuple(number(row[label]) for label in labels)
        if split in found:  # rows that are named alike stay apart
            split = (*split, f"row {place + 1}")
        found[split] = {name: row[at] for at, name in enumerate(score.columns) if at not in labels}
    return found


def _values(cells: Sequence[Mapping[str, Cell]], column: str, decimals: int) -> list[Value]:
    texts = [number(row[column], decimals) if column in row else "" for row in cells]
    return [Value(text, text != texts[0]) for text in texts]


def _joined(values: Iterable[object]) -> str:
    """Return the distinct values as text: one, or the ends of several numbers."""
    known = {value for value in values if value is not None}
    if all(isinstance(value, int) for value in known) and len(known) > 1:
        return f"{min(known)} to {max(known)}"  # type: ignore[type-var]
    return ", ".join(sorted(map(str, known))) or ABSENT
