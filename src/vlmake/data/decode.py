"""A benchmark's TSV becomes a table of samples and a store of images.

The TSV is read once, row by row. Images go to the store as they come; the text of the rows goes to an unnamed
temporary file, because a row may refer to the image of a later one. When the last row is read the references are
followed, and the samples are written batch by batch. Memory holds one batch of text, one batch of images, for every
row its index and some forty bytes more, and for every distinct image its digest.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.data.columns import text_lists, texts
from vlmake.data.image_cells import ImageCells
from vlmake.data.images import POLICY, ImageWriter
from vlmake.data.row_images import ImagesOfRows
from vlmake.data.tsv import Cell, TsvReader, cut
from vlmake.errors import VlmakeError, counted
from vlmake.store import atomic_path, canonical_json, disk_errors

OWN_COLUMNS = ("images", "image_error", "group")
"""Columns that decode adds; an original column of that name is kept as ``tsv:<name>``."""

_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 16_384


class Decoded(NamedTuple):
    """What a decode wrote: rows, distinct images, rows without a usable image, and the first such row's reason.

    ``turned`` counts the images whose EXIF orientation is not applied.
    """

    rows: int
    images: int
    broken: int
    first_broken: str | None
    turned: int = 0


def decode(tsv: Path, source: Mapping[str, Any], image_root: Path, samples_out: Path, images_out: Path) -> Decoded:
    """Turn ``tsv`` into ``samples_out`` (Parquet) and ``images_out`` (an image store).

    The samples have one row a TSV row, in file order: every original column but ``image`` as text with true nulls,
    then ``images`` (list of digests), ``image_error`` (a short reason, else null; then ``images`` is empty) and
    ``group`` (equal for rows that share a first image). An image that cannot be used marks its rows and stops nothing.
    The schema's metadata say under ``vlmake``, as JSON, what was decoded and how images become RGB (``images.POLICY``).

    Args:
        tsv: The benchmark with the columns ``index`` and ``image`` or ``image_path``.
        source: What ``source.json`` says; ``sha256`` (and ``size`` if present) must be those of ``tsv``.
        image_root: The folder below which ``image_path`` cells are looked up.
        samples_out: Replaced atomically, and only when everything went well; so is ``images_out``.
        images_out: See above.

    Raises:
        VlmakeError: Another file than the source, what ``TsvReader`` finds, a missing column, a missing or repeated
            index, a reference that leads nowhere or in a circle.
    """
    with (
        disk_errors(samples_out.parent),
        TsvReader(tsv, as_bytes={"image"}, hashes=("sha256",)) as table,
        atomic_path(samples_out) as samples_part,
        atomic_path(images_out) as images_part,
        tempfile.TemporaryFile(dir=samples_part.parent) as spill,
    ):
        _check_size(tsv, source)
        _check_columns(table)
        with ImageWriter(images_part) as store:
            pass_one = _Intake(table, store, image_root)
            pass_one.run(spill)
        digest = table.hexdigest("sha256")
        if digest != source["sha256"]:
            raise _changed(tsv, f"its sha256 is {digest} and was {source['sha256']}")
        rows = pass_one.rows
        rows.follow(tsv)
        about = {
            "rows": len(rows),
            "images": store.count,
            "turned_images": store.turned,
            "tsv_sha256": digest,
            "tsv_bytes": table.size,
            "embedded": "image" in table.header,
            **POLICY,
        }
        broken = _write_samples(samples_part, spill, about, pass_one)
    return Decoded(len(rows), store.count, broken.rows, broken.first, store.turned)


class _Broken(NamedTuple):
    """How many rows have no usable image, and the first of them with its reason."""

    rows: int
    first: str | None


class _Intake:
    """The one pass over the TSV: texts to the spill file, images to the store, the rest into small lists."""

    def __init__(self, table: TsvReader, store: ImageWriter, image_root: Path) -> None:
        self._table = table
        self._store = store
        self._cells = ImageCells(self._take, image_root)
        self._numbers: dict[str, int] = {}
        self.rows = ImagesOfRows()

    @property
    def digests(self) -> list[str]:
        """The digest of every image number."""
        return list(self._numbers)

    def run(self, spill: BinaryIO) -> None:
        """Read every row of the table; VlmakeError as ``decode`` says."""
        header = self._table.header
        kept = [place for place, name in enumerate(header) if name != "image"]
        index, image, path = (header.index(name) if name in header else -1 for name in ("index", "image", "image_path"))
        schema = pa.schema([(_column_name(header[place]), pa.string()) for place in kept])
        rows: list[list[Cell]] = []
        size = 0
        with pa.ipc.new_stream(pa.PythonFile(spill, "w"), schema) as writer:
            for row in self._table:
                if not row.cells[index]:
                    raise VlmakeError(f"{self._table.path}: row {row.number} has no index")
                image_cell, path_cell = (row.cells[place] if place >= 0 else None for place in (image, path))
                self.rows.add(self._cells.of(image_cell, path_cell))
                rows.append([row.cells[place] for place in kept])
                size += sum(len(cell) for cell in rows[-1] if cell is not None)
                if size >= _BATCH_BYTES or len(rows) >= _BATCH_ROWS:
                    self._end_batch(_text_batch(rows, schema), writer)
                    rows, size = [], 0
            if not len(self.rows):
                raise VlmakeError(f"{self._table.path}: a header and no rows")
            if rows:
                self._end_batch(_text_batch(rows, schema), writer)

    def _end_batch(self, batch: pa.RecordBatch, writer: Any) -> None:
        self.rows.end_batch(batch.column("index"))
        writer.write_batch(batch)

    def _take(self, data: bytes) -> int:
        return self._numbers.setdefault(self._store.add(data), len(self._numbers))


def _check_columns(table: TsvReader) -> None:
    """Refuse a table that lacks what decode needs or where an own column's new name is taken."""
    if "index" not in table.header:
        raise VlmakeError(f"{table.path}: missing column 'index'; the columns are {_names(table.header)}")
    if "image" not in table.header and "image_path" not in table.header:
        raise VlmakeError(
            f"{table.path}: missing column 'image' (or 'image_path'); the columns are {_names(table.header)}"
        )
    for name in table.header:
        if name in OWN_COLUMNS and _column_name(name) in table.header:
            raise VlmakeError(f"{table.path}: header: has both '{name}' and '{_column_name(name)}'; rename one of them")


def _check_size(tsv: Path, source: Mapping[str, Any]) -> None:
    """Refuse a file of another size before any work is done."""
    size, expected = tsv.stat().st_size, source.get("size")
    if expected is not None and size != expected:
        raise _changed(tsv, f"it has {counted(size, 'byte')} and had {expected:,}")


def _changed(tsv: Path, how: str) -> VlmakeError:
    return VlmakeError(
        f"{tsv} is not the file that source.json describes: {how}; "
        "it changed after the download step, so run that step again (delete source.json)"
    )


def _column_name(name: str) -> str:
    """Return the name under which an original column is kept."""
    return f"tsv:{name}" if name in OWN_COLUMNS else name


def _names(header: list[str]) -> str:
    """Return some column names for an error text."""
    return ", ".join(cut(name) for name in header[:20]) + (", …" if len(header) > 20 else "")


def _text_batch(rows: list[list[Cell]], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows of texts and nulls as a batch of the schema's columns."""
    columns = [texts(column) for column in zip(*rows, strict=True)]
    return pa.record_batch(columns, schema=schema)


def _write_samples(path: Path, spill: BinaryIO, about: Mapping[str, Any], intake: _Intake) -> _Broken:
    """Write the samples: the spilled texts with the images beside them, a row group a batch."""
    spill.seek(0)
    digests = intake.digests
    start, broken, first = 0, 0, None
    with pa.ipc.open_stream(pa.PythonFile(spill, "r")) as reader:
        schema = pa.schema(
            [
                *reader.schema,
                pa.field("images", pa.list_(pa.string()), nullable=False),
                pa.field("image_error", pa.string()),
                pa.field("group", pa.string(), nullable=False),
            ],
            metadata={"vlmake": canonical_json(dict(about))},
        )
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in reader:
                rows = range(start, start + batch.num_rows)
                images = [[digests[number] for number in intake.rows.numbers(row)] for row in rows]
                errors = [intake.rows.error(row) for row in rows]
                groups = [
                    found[0] if found else f"row:{index}"
                    for found, index in zip(images, batch.column("index").to_pylist(), strict=True)
                ]
                columns = [*batch.columns, text_lists(images), texts(errors), texts(groups)]
                writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=batch.num_rows)
                bad = [row for row, error in zip(rows, errors, strict=True) if error is not None]
                if bad and first is None:
                    first = f"row {bad[0] + 1}: {errors[bad[0] - start]}"
                start, broken = start + batch.num_rows, broken + len(bad)
    return _Broken(broken, first)
