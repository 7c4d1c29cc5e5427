"""Scores for the end of a run: a table a benchmark, readable in 80 columns and in a log file."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vlmake.report.scores import (
    Cell,
    Score,
    judge_line,
    missing_line,
    number,
    percent,
    places,
    read_scores,
    trouble_line,
)
from vlmake.report.text import one_line

COLUMNS_PER_BLOCK = 8
_INDENT = 2
_GAP = 2
_HEADER_LINE = 11  # letters in a line of a header before it breaks at _ or -, so that eight columns stand side by side
_LONGEST = 24  # letters in a name before it folds


class _Line(NamedTuple):
    """One line of a table: what names it (model, split), and its numbers by column."""

    names: list[str]
    cells: dict[str, Cell]


def print_scores(names: Iterable[tuple[str, ...]], work_dir: Path, console: Console | None = None) -> None:
    """Print the given scores, one block a dataset, and say which could not be read.

    Args:
        names: Model, dataset and judge of each; datasets, and the models of one, keep their order.
        work_dir: The folder with ``results/``.
        console: Where to print instead of stdout; colours appear only on a terminal.
    """
    console = console or Console()
    scores, broken = read_scores(work_dir, names)
    place = {dataset: number for number, dataset in enumerate(dict.fromkeys(score.shown_as for score in scores))}
    scores.sort(key=lambda score: (place[score.shown_as], score.protocol))  # stable: models keep their order
    for _, group in groupby(scores, key=lambda score: (score.shown_as, score.protocol)):
        console.print(_dataset(list(group), console.width))
    for line in broken:
        console.print(Text(f"! {one_line(line, 500)}", style="bold red"), soft_wrap=True)


def _dataset(scores: Sequence[Score], width: int) -> RenderableType:
    """Return everything about one dataset: heading, tables, intervals, loud lines."""
    sizes = sorted({score.configured.overall.n or score.samples.total for score in scores})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    split = "".join(f" · {one_line(name)} {only}" for name, only in _only_labels(scores).items() if only != "none")
    heading = Text.assemble((scores[0].shown_as, "bold"), f"  protocol {one_line(scores[0].protocol)} · n = {n}{split}")
    parts: list[RenderableType] = [Text(), heading]
    tables = list(_tables(scores, width - _INDENT))
    for table in tables:
        parts += [Text(), Padding(table, (0, 0, 0, _INDENT), expand=False)]
    notes = list(_notes(scores))
    if notes and max(table.row_count for table in tables) > 1:  # below a single line they need no distance
        parts.append(Text())
    return Group(*parts, *notes)


def _notes(scores: Sequence[Score]) -> Iterator[RenderableType]:
    """Yield the lines below the tables: interval, absent categories, trouble."""
    for score in scores:
        who = f"{score.model}: " if len(scores) > 1 else ""
        if line := judge_line(score):
            yield _indented(one_line(f"{who}{line}", 500), "yellow" if score.judging.fallback else "dim")
        if (accuracy := score.configured.accuracy) and accuracy.value is not None:
            interval = f"95 % interval {percent(accuracy.low)} to {percent(accuracy.high)}"
            yield _indented(f"{who}accuracy {percent(accuracy.value)} %, {interval}", "dim")
        if missing := score.configured.missing:
            yield _indented(one_line(f"{who}{missing_line(missing)}"), "dim")
        if trouble := score.trouble():
            line = one_line(trouble_line(trouble, score.samples.total))
            yield _indented(f"! {who}{line}", "bold red")
        for note in score.notes:
            yield _indented(one_line(f"{who}{note}", 500), "yellow")


def _indented(line: str, style: str) -> RenderableType:
    return Padding(Text(line, style=style), (0, 0, 0, _INDENT), expand=False)


def _tables(scores: Sequence[Score], width: int) -> Iterator[Table]:
    """Yield the scores' numbers as tables of at most ``COLUMNS_PER_BLOCK`` columns, narrower where ``width`` asks."""
    labels, numbers = _columns(scores)
    labels = [name for name in labels if name not in _only_labels(scores)]
    lines = [line for score in scores for line in _lines(score, labels)]
    decimals = places(scores[0].metric, [score.configured for score in scores])
    splits = any(len(score.configured.rows) > 1 for score in scores)

    def column_width(name: str) -> int:
        shown = [*_header(name).splitlines(), *(number(line.cells.get(name), decimals) for line in lines)]
        return max(map(cell_len, shown))

    name_widths = [
        min(
            _LONGEST,
            max(width // 3, 8),
            max(cell_len(text) for text in [title, *(line.names[place] for line in lines)]),
        )
        for place, title in enumerate(["model", *labels])
    ]
    for block in _blocks(numbers, column_width, width - sum(name_widths) - _GAP * len(name_widths)):
        # The box draws one blank between columns; the padding is the rest of the gap.
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        for title, name_width in zip(["model", *labels], name_widths, strict=True):
            table.add_column(Text(title), width=name_width, overflow="fold", vertical="top")
        for name in block:
            table.add_column(Text(_header(name)), width=column_width(name), overflow="fold", justify="right")
        for line in lines:
            if splits and line.names[0]:
                table.add_section()
            shown = [*line.names, *(number(line.cells.get(name), decimals) for name in block)]
            table.add_row(*map(Text, shown))
        yield table


def _columns(scores: Sequence[Score]) -> tuple[list[str], list[str]]:
    """Return the columns that name a row and those that hold numbers, over all scores, in the first one's order."""
    every = dict.fromkeys(name for score in scores for name in score.configured.columns)
    labels = {score.configured.columns[place] for score in scores for place in score.configured.label_columns()}
    return [name for name in every if name in labels], [name for name in every if name not in labels]


def _only_labels(scores: Sequence[Score]) -> dict[str, str]:
    """Return what names a row where there is one row a model, named alike: worth a heading, not a column."""
    if any(len(score.configured.rows) != 1 for score in scores):
        return {}
    cells = [dict(zip(score.configured.columns, score.configured.rows[0], strict=True)) for score in scores]
    shown = {name: {one_line(number(row.get(name)), _LONGEST) for row in cells} for name in _columns(scores)[0]}
    return {name: texts.pop() for name, texts in shown.items() if len(texts) == 1}


def _lines(score: Score, labels: Sequence[str]) -> Iterator[_Line]:
    """Yield a score's lines; only the first one says whose they are."""
    for place, row in enumerate(score.configured.rows):
        cells = dict(zip(score.configured.columns, row, strict=True))
        yield _Line([score.model if place == 0 else "", *(one_line(number(cells.get(name))) for name in labels)], cells)


def _blocks(names: Sequence[str], width_of: Callable[[str], int], width: int) -> Iterator[list[str]]:
    """Yield the columns in stretches that fit side by side; at least one column each."""
    block: list[str] = []
    for name in names:
        if block and (len(block) == COLUMNS_PER_BLOCK or sum(width_of(of) + _GAP for of in [*block, name]) > width):
            yield block
            block = []
        block.append(name)
    if block:
        yield block


def _header(name: str) -> str:
    """Return a column's name, broken into lines after ``_``, ``-`` and blanks where it is long."""
    lines = [""]
    for part in re.findall(r"[^_\- ]*[_\- ]+|[^_\- ]+", one_line(name, 3 * _LONGEST)):
        for piece in (part[start : start + _LONGEST] for start in range(0, len(part), _LONGEST)):
            if lines[-1] and len(lines[-1]) + len(piece) > _HEADER_LINE:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)
