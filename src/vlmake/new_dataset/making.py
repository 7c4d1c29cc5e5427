"""A table becomes a benchmark's TSV, checked before it gets its name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from vlmake.data.download import Digests, hash_file
from vlmake.errors import VlmakeError
from vlmake.new_dataset.layout import CellError, FirstOption, Layout, cell_text, find_layout
from vlmake.new_dataset.pictures import PictureCells
from vlmake.new_dataset.tables import Row, Table
from vlmake.registry.recognition import FAULTS_KEPT, Fault, Recognised, examine
from vlmake.registry.tasks import Task
from vlmake.store import atomic_path


class FaultyTableError(VlmakeError):
    """A table with faults: all that are described, and how many there are."""

    def __init__(self, name: str, faults: list[Fault], count: int) -> None:
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"{name}: {faults[0]}{more}")
        self.faults = faults
        self.count = count


@dataclass(frozen=True)
class Made:
    """A TSV that was made: what it asks, its digests, and what some of its rows lack (tolerated faults)."""

    recognised: Recognised
    digests: Digests
    lacking: tuple[Fault, ...]


def make_tsv(
    table: Table,
    out: Path,
    *,
    columns: Mapping[str, str],
    first_option: FirstOption | None = None,
    images: Path | None = None,
    task: Task | None = None,
    answers: bool = True,
    tolerant: bool = False,
) -> Made:
    """Write ``table`` as a benchmark's TSV to ``out``, atomically and only if it has no faults.

    Args:
        table: The rows; read row by row, twice.
        out: The TSV.
        columns: Column of the benchmark → column of the table, where the usual names do not say it.
        first_option: What number the first option has, where answers are numbers; None: told from all of them.
        images: The folder of image files, if the table holds their names.
        task: What is asked, if that is known.
        answers: Whether the table's answers mean anything.
        tolerant: Whether rows may lack an image, hold a broken one, or lack the options that others have: a published
            benchmark is taken as it is, and the decode stage marks such rows.

    Raises:
        FaultyTableError: What is wrong, by row and column of the table.
        VlmakeError: A table that cannot be read, or not in one way only.
    """
    layout = find_layout(table, columns, task, first_option)
    if not layout.images:
        known = ", ".join(table.columns)
        raise VlmakeError(f"{table.name}: no column with images; say which one it is (there are: {known})")
    if layout.question is None:
        known = ", ".join(table.columns)
        raise VlmakeError(f"{table.name}: no column with questions; say which one it is (there are: {known})")
    with atomic_path(out) as part:
        writer = _Writer(layout, PictureCells(images, check=not tolerant))
        with part.open("w", newline="", encoding="utf-8") as file:
            file.write(_line(writer.header(table)))
            wanted = {column for column in table.columns if column in writer.reads}
            for row in table.rows(wanted):
                file.write(_line(writer.cells(row)))
        if not writer.rows:
            raise VlmakeError(f"{table.name}: a table without rows")
        found = examine(part, task=task, answers=answers)
        told = {(fault.row, fault.column) for fault in writer.faults}
        faults = [*writer.faults, *(fault._replace(line=None) for fault in found.faults if fault[:2] not in told)]
        wrong = [fault for fault in faults if not (tolerant and fault.kind)]
        if wrong or found.recognised is None:
            count = len(wrong) + found.fault_count - len(found.faults)
            named = [fault._replace(column=layout.column_of(fault.column or "") or None) for fault in wrong]
            raise FaultyTableError(table.name, sorted(named, key=lambda fault: fault.row or 0), count)
    return Made(found.recognised, hash_file(out), tuple(faults))


def entry_text(name: str, tsv: Path, made: Made) -> str:
    """Return the registry entry of a TSV, as the YAML of a file in ``config/datasets/``."""
    found = made.recognised
    entry = {"path": str(tsv.resolve()), "md5": made.digests.md5, "rows": found.rows, "task": found.task}
    entry |= {"metric": found.metric} if found.answers else {"metric": found.metric, "answers": False}
    if found.images == "several":
        entry["images"] = found.images
    if found.metric == "choice_circular":
        entry["groups"] = "rotation"
    return yaml.safe_dump({"datasets": {name: entry}}, allow_unicode=True, sort_keys=False, width=1000)


def _line(cells: Iterable[str | None]) -> str:
    """Return cells as a line of a TSV; unlike Python's csv module it quotes single carriage returns as well."""
    texts = ("" if cell is None else cell for cell in cells)
    quoted = ('"' + text.replace('"', '""') + '"' if any(map(text.__contains__, '\t\n\r"')) else text for text in texts)
    return "\t".join(quoted) + "\n"


class _Writer:
    """Rows of a table as rows of a TSV, with what is wrong in them."""

    def __init__(self, layout: Layout, pictures: PictureCells) -> None:
        self._layout = layout
        self._pictures = pictures
        self._letters: tuple[str, ...] = tuple(layout.letters)
        self.faults: list[Fault] = []
        self.rows = 0
        known = (layout.index, *layout.images, layout.question, layout.options, layout.answer)
        self.reads = {*filter(None, known), *layout.letters.values(), *layout.others.values()}

    def header(self, table: Table) -> list[str]:
        """Return the columns of the TSV; looks through the table for the letters that its options need."""
        layout = self._layout
        if layout.options is not None:
            most = max((len(options) for options in self._all_options(table)), default=0)
            self._letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:most])
        answer = ["answer"] if layout.answer is not None else []
        return ["index", "image", "question", *self._letters, *answer, *layout.others]

    def cells(self, row: Row) -> list[str | None]:
        """Return the cells of the next row."""
        layout = self._layout
        self.rows += 1
        index = str(self.rows - 1) if layout.index is None else (cell_text(row[layout.index]) or "").strip()
        options = self._options(row)
        texts = [
            index or None,
            self._picture(row, index),
            cell_text(row[str(layout.question)]),
            *(options.get(letter) for letter in self._letters),
            *([self._answer(row, options)] if layout.answer is not None else []),
            *(cell_text(row.get(column)) for column in layout.others.values()),
        ]
        names = ["index", "image", "question", *self._letters, *(["answer"] if layout.answer else []), *layout.others]
        return [self._writable(name, text) for name, text in zip(names, texts, strict=True)]

    def _all_options(self, table: Table) -> Iterator[Mapping[str, str]]:
        for row in table.rows({str(self._layout.options)}):
            try:
                yield self._layout.options_of(row)
            except CellError:
                continue

    def _options(self, row: Row) -> Mapping[str, str]:
        try:
            return self._layout.options_of(row)
        except CellError as error:
            self._complain("A", str(error))
            return {}

    def _answer(self, row: Row, options: Mapping[str, str]) -> str | None:
        try:
            return self._layout.answer_of(row, options)
        except CellError as error:
            self._complain("answer", str(error))
            return None

    def _picture(self, row: Row, index: str) -> str | None:
        try:
            return self._pictures.cell([row.get(column) for column in self._layout.images], index)
        except CellError as error:
            self._complain("image", str(error))
            return None

    def _writable(self, column: str, text: str | None) -> str | None:
        """Return a text that a TSV can hold; a fault and None for any other."""
        if text is None or (text.isprintable() and text.isascii()):
            return text
        if "\0" in text:
            self._complain(column, "holds a NUL character")
            return None
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self._complain(column, "holds half a character (a lone surrogate)")
            return None
        return text

    def _complain(self, column: str, what: str) -> None:
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(Fault(self.rows, column, what))
