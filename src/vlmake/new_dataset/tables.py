"""Tables as people have them, read row by row: CSV, JSONL, and parquet in the layout of the Hugging Face hub."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vlmake.errors import VlmakeError, counted

Row = dict[str, Any]

_BATCH_ROWS = 8  # parquet rows in memory at once: each may hold several large images
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Table:
    """A table that can be read several times.

    Attributes:
        name: What errors call it.
        columns: Its columns, in order.
        pictures: Those that hold images themselves, not names of files.
        rows: Yields the rows in order, with the columns that are asked for; raises VlmakeError that names the row.
    """

    name: str
    columns: tuple[str, ...]
    pictures: frozenset[str]
    rows: Callable[[Collection[str]], Iterator[Row]]


def open_table(file: Path) -> Table:
    """Return the table in a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file; VlmakeError for any other."""
    if file.suffix == ".parquet":
        return parquet_table([file], str(file))
    if file.suffix == ".jsonl":
        return _jsonl_table(file)
    if file.suffix in (".csv", ".tsv"):
        return _csv_table(file, "," if file.suffix == ".csv" else "\t")
    raise VlmakeError(f"{file}: a table is a .csv, .tsv, .jsonl or .parquet file")


def parquet_table(files: Sequence[Path], name: str) -> Table:
    """Return the table that parquet files of one layout are together, one after the other.

    A column holds images where it is binary, or a struct of ``bytes`` and ``path``, or a list of such. Integers of a
    column that the hub's metadata call a class label become the label's name.
    """
    import pyarrow as pa

    schemas = [_parquet(file).schema_arrow for file in files]
    columns = tuple(column for column in schemas[0].names if not column.startswith("__index_level_"))
    for file, schema in zip(files, schemas, strict=True):
        if missing := [column for column in columns if column not in schema.names]:
            raise VlmakeError(f"{file}: column '{missing[0]}' is missing, which {files[0].name} has")
    pictures = frozenset(column for column in columns if _holds_pictures(schemas[0].field(column).type))
    labels = _class_labels(schemas[0].metadata)

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        read = [column for column in columns if column in wanted]
        for file in files:
            try:
                for batch in _parquet(file).iter_batches(_BATCH_ROWS, columns=read, use_threads=False):
                    if not read:
                        yield from ({} for _ in range(batch.num_rows))
                    for row in batch.to_pylist():
                        yield {column: _labelled(labels.get(column), value) for column, value in row.items()}
            except (pa.ArrowException, OSError) as error:
                raise VlmakeError(f"{file} is damaged: {error}") from error

    return Table(name, columns, pictures, rows)


def _parquet(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
    except FileNotFoundError:
        raise VlmakeError(f"{file} is not there") from None
    except (pa.ArrowException, OSError) as error:
        raise VlmakeError(f"{file} is no parquet file, or damaged: {error}") from error


def _holds_pictures(kind: Any) -> bool:
    import pyarrow as pa

    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        return bool({field.name for field in kind} == {"bytes", "path"})
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_labels(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return the names of the class labels of a table's columns, from what ``datasets`` wrote into its metadata."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        named = {column: feature for column, feature in features.items() if isinstance(feature, dict)}
        labels = {column: feature for column, feature in named.items() if feature.get("_type") == "ClassLabel"}
        return {column: [str(name) for name in feature["names"]] for column, feature in labels.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _labelled(names: list[str] | None, value: Any) -> Any:
    return names[value] if names is not None and isinstance(value, int) and 0 <= value < len(names) else value


def _csv_table(file: Path, delimiter: str) -> Table:
    def records() -> Iterator[list[str]]:
        with _open(file) as lines:
            reader = csv.reader(_without_nul(lines), delimiter=delimiter, strict=True)
            try:
                yield from reader
            except csv.Error as error:
                raise VlmakeError(f"{file}: line {reader.line_num}: {error}") from error
            except UnicodeDecodeError as error:
                raise VlmakeError(f"{file}: after line {reader.line_num}: no UTF-8 text; save it as UTF-8") from error

    header = next(records(), [])
    if not any(header):
        raise VlmakeError(f"{file}: no header: the file or its first line is empty")
    for place, column in enumerate(header, 1):
        if not column or column in header[: place - 1]:
            raise VlmakeError(f"{file}: column {place} has " + (f"the name '{column}' again" if column else "no name"))

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        found = records()
        next(found)
        number = 0
        for cells in found:
            if not cells:  # an empty line
                continue
            number += 1
            if len(cells) != len(header):
                raise VlmakeError(
                    f"{file}: row {number} has {counted(len(cells), 'cell')} and the header {len(header)}"
                )
            yield {column: cell or None for column, cell in zip(header, cells, strict=True) if column in wanted}

    return Table(str(file), tuple(header), frozenset(), rows)


def _jsonl_table(file: Path) -> Table:
    def records() -> Iterator[Row]:
        number = 0
        with _open(file) as lines:
            try:
                for line in lines:
                    if not line.strip():
                        continue
                    number += 1
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise VlmakeError(f"{file}: row {number} is no JSON object")
                    yield record
            except UnicodeDecodeError as error:
                raise VlmakeError(f"{file}: after row {number}: no UTF-8 text; save it as UTF-8") from error
            except (ValueError, RecursionError) as error:
                raise VlmakeError(f"{file}: row {number}: no JSON object in one line: {error}") from error

    columns: dict[str, None] = {}
    for record in records():
        columns.update(dict.fromkeys(record))

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        for record in records():
            yield {column: record.get(column) for column in columns if column in wanted}

    return Table(str(file), tuple(columns), frozenset(), rows)


def _open(file: Path) -> IO[str]:
    try:
        return io.TextIOWrapper(file.open("rb"), encoding="utf-8-sig", newline="")
    except OSError as error:
        raise VlmakeError(f"cannot read {file}: {error.strerror}") from error


def _without_nul(lines: IO[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise csv.Error(f"line {number} holds a NUL byte; the file is damaged or not UTF-8 text")
        yield line
