"""A streaming reader for tab-separated tables as pandas writes them, with memory for one record at a time.

Text arrives exactly as written: ``NA``, ``007``, ``None`` and ``=1+1`` stay what they are. An empty cell without
quotes is a null (None); an empty cell in quotes is an empty text.

The rules are those of Python's csv module with a tab as delimiter: a quote is special only where a field starts, a
quoted field may hold tabs, line ends and doubled quotes, and what follows its closing quote belongs to the text. Two
things differ. A carriage return ends a line only before a line feed (pandas writes single ones without quotes), and
lines that are empty are skipped, as pandas does.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from vlmake.errors import VlmakeError, counted

Cell = str | bytes | None
"""Text, bytes for a column that was asked for as bytes, None for a null."""

_BOM = b"\xef\xbb\xbf"
_QUOTE = 0x22
_BUFFER = 1 << 20

MAX_RECORD_BYTES = 128 << 20
"""A longer record is refused: a quote that is never closed would draw the whole rest of the file into memory."""

MAX_COLUMNS = 10_000
"""A header with more columns is refused: it is no table of samples."""


class Row(NamedTuple):
    """One record: its number (1 is the first below the header), its first line in the file, one cell a column."""

    number: int
    line: int
    cells: list[Cell]


class TsvReader:
    """An open table: ``header`` at once, then the rows once, then the digests of the bytes that were read.

    Use it as a context manager and iterate over it::

        with TsvReader(path, as_bytes={"image"}, hashes=("sha256",)) as table:
            for row in table: ...
        table.hexdigest("sha256"), table.size

    Every error is a VlmakeError that names the file and, inside the table, the row and its line.
    """

    def __init__(self, path: Path, as_bytes: Collection[str] = (), hashes: Collection[str] = ()) -> None:
        """Open ``path`` and read its header.

        Args:
            path: The table.
            as_bytes: Columns whose cells are kept as bytes: not decoded and not checked to be UTF-8.
            hashes: Names of hashlib algorithms to run over the file while it is read.

        Raises:
            VlmakeError: Unreadable or empty file, another encoding, or a header without proper names.
        """
        self.path = Path(path)
        self.size = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in hashes}
        self._line = 0  # physical lines read so far
        self._row = 0  # records begun so far, without the header
        self._first = 1  # the physical line where the current record began
        self._complete = False
        try:
            self._file: BinaryIO = self.path.open("rb", buffering=_BUFFER)
        except OSError as error:
            raise VlmakeError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise
        self._as_bytes = [name in as_bytes for name in self.header]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading stops."""
        self._file.close()

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in file order; a second iteration goes on where the first one stopped."""
        while physical := self._next_line():
            if physical in (b"\n", b"\r\n"):
                continue
            self._row += 1
            self._first = self._line
            cells = self._split(physical)
            if len(cells) != len(self.header):
                raise VlmakeError(
                    f"{self._where()} has {counted(len(cells), 'cell')} and the header {len(self.header)}; "
                    "the file is cut short or was edited with another delimiter"
                )
            yield Row(self._row, self._first, [self._convert(cell, place) for place, cell in enumerate(cells)])
        self._complete = True

    def hexdigest(self, name: str) -> str:
        """Return a digest of the whole file; ValueError before the last row was read."""
        if not self._complete:
            raise ValueError("the digest is known only after the last row")
        return self._hashes[name].hexdigest()

    def _read_header(self) -> list[str]:
        physical = self._next_line()
        physical = physical.removeprefix(_BOM)
        if not physical.strip():
            raise VlmakeError(f"{self.path}: no header: the file or its first line is empty")
        places: dict[str, int] = {}
        cells = self._split(physical)
        if len(cells) > MAX_COLUMNS:
            raise VlmakeError(f"{self.path}: header: {len(cells):,} columns are more than {MAX_COLUMNS:,}")
        for place, cell in enumerate(cells, 1):
            try:
                name = (cell or b"").decode("utf-8")
            except UnicodeDecodeError:
                raise VlmakeError(f"{self.path}: header: the name of column {place} is not UTF-8 text") from None
            if not name:
                raise VlmakeError(f"{self.path}: header: column {place} has no name")
            if (first := places.setdefault(name, place)) != place:
                raise VlmakeError(f"{self.path}: header: columns {first} and {place} are both called '{cut(name)}'")
        return list(places)

    def _next_line(self) -> bytes:
        physical = self._file.readline(MAX_RECORD_BYTES + 1)
        if physical:
            if len(physical) > MAX_RECORD_BYTES:
                raise self._too_long(self._line + 1)
            self._line += 1
            self.size += len(physical)
            for running in self._hashes.values():
                running.update(physical)
            if b"\0" in physical:
                if self._line == 1 and physical.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise VlmakeError(f"{self.path}: line 1: UTF-16 text, not UTF-8; save it as UTF-8")
                raise VlmakeError(
                    f"{self.path}: line {self._line} (after row {self._row}) holds a NUL byte; "
                    "the file is damaged or not UTF-8 text"
                )
        return physical

    def _too_long(self, line: int) -> VlmakeError:
        return VlmakeError(
            f"{self.path}: line {line} (after row {self._row}) goes on for more than {MAX_RECORD_BYTES:,} bytes; "
            "the file is damaged or no table"
        )

    def _where(self) -> str:
        """Return file, row and line of the current record, as errors start."""
        return f"{self.path}: row {self._row} (line {self._first})" if self._row else f"{self.path}: header"

    def _split(self, physical: bytes) -> list[bytes | None]:
        """Split the record that starts with this physical line; reads on while a quoted field is open."""
        # The search for one byte is several times faster than that for two, and most lines hold no quote at all.
        if b'"' not in physical or (physical[0] != _QUOTE and b'\t"' not in physical):
            return [cell or None for cell in _without_end(physical).split(b"\t")]
        record = bytearray(physical)
        cells: list[bytes | None] = []
        start = 0
        while True:
            if start < len(record) and record[start] == _QUOTE:
                close = self._closing_quote(record, start + 1)
                text = record[start + 1 : close].replace(b'""', b'"')
                tab = record.find(b"\t", close + 1)
                rest = record[close + 1 : tab] if tab >= 0 else _without_end(record[close + 1 :])
                cells.append(bytes(text + rest))
            else:
                tab = record.find(b"\t", start)
                plain = record[start:tab] if tab >= 0 else _without_end(record[start:])
                cells.append(bytes(plain) or None)
            if tab < 0:
                return cells
            start = tab + 1

    def _closing_quote(self, record: bytearray, start: int) -> int:
        """Return the place of the quote that ends a field; appends physical lines to ``record`` until it is there."""
        while True:
            place = record.find(b'"', start)
            if place < 0:
                start = len(record)
                more = self._next_line()
                if not more:
                    raise VlmakeError(f"{self._where()}: a quote is opened and never closed; the file is cut short")
                record += more
                if len(record) > MAX_RECORD_BYTES:
                    raise VlmakeError(
                        f"{self._where()}: a quote is opened and not closed within {MAX_RECORD_BYTES:,} bytes; "
                        "the file is damaged"
                    )
            elif record[place + 1 : place + 2] == b'"':
                start = place + 2
            else:
                return place

    def _convert(self, cell: bytes | None, place: int) -> Cell:
        if cell is None or self._as_bytes[place]:
            return cell
        try:
            return cell.decode("utf-8")
        except UnicodeDecodeError as error:
            raise VlmakeError(
                f"{self._where()}, column '{cut(self.header[place])}': not UTF-8 text at byte {error.start} of the"
                " cell; save the file as UTF-8"
            ) from None


def cut(text: str) -> str:
    """Return a name from the table short enough for an error line."""
    return text if len(text) <= 80 else f"{text[:79]}…"


def _without_end(line: Any) -> Any:
    """Return a line (bytes or bytearray) without its line feed and a carriage return before it."""
    if line.endswith(b"\n"):
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]
    return line
