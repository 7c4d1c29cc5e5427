"""A benchmark's TSV becomes a table of samples and a store of images.

The TSV is read once, row by row. Images go to the store as they come; the text of the rows goes to an unnamed
temporary file, because a row may refer to the image of a later one. When the last row is read the references are
followed, and the samples are written batch by batch. Memory holds one batch of text, one batch of images, and for
every row its index and the numbers of its images.
"""

import os
import stat
import string
import tempfile
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pybase64 import b64decode

from vlmake.data.columns import text_lists, texts
from vlmake.data.images import POLICY, ImageError, ImageWriter
from vlmake.data.literals import list_items
from vlmake.data.tsv import Cell, TsvReader, cut
from vlmake.errors import VlmakeError
from vlmake.store import atomic_path, canonical_json, disk_errors

OWN_COLUMNS = ("images", "image_error", "group")
"""Columns that decode adds; an original column of that name is kept as ``tsv:<name>``."""

REFERENCE_LENGTH = 64
"""An ``image`` cell of up to so many characters is the index of the row whose image it shares."""

_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 16_384
_BLANKS = b" \t\r\n\v\f"
_BASE64 = f"{string.ascii_letters}{string.digits}+/=".encode()


class Decoded(NamedTuple):
    """What a decode wrote: rows, distinct images, rows without a usable image, and the first such row's reason.

    ``turned`` counts the images whose EXIF orientation is not applied.
    """

    rows: int
    images: int
    broken: int
    first_broken: str | None
    turned: int = 0


class _Images(NamedTuple):
    """The images of a row as numbers into the list of digests, or the reason why there are none."""

    numbers: tuple[int, ...] = ()
    error: str | None = None


class _Reference(NamedTuple):
    """The index of the row whose images a row shares."""

    target: str


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
        resolved = _follow(tsv, pass_one.rows)
        about = {
            "rows": len(resolved),
            "images": store.count,
            "turned_images": store.turned,
            "tsv_sha256": digest,
            "tsv_bytes": table.size,
            "embedded": "image" in table.header,
            **POLICY,
        }
        _write_samples(samples_part, spill, about, pass_one, resolved)
    broken = [(row, images.error) for row, images in enumerate(resolved, 1) if images.error]
    first = f"row {broken[0][0]}: {broken[0][1]}" if broken else None
    return Decoded(len(resolved), store.count, len(broken), first, store.turned)


class _Intake:
    """The one pass over the TSV: texts to the spill file, images to the store, the rest into small lists."""

    def __init__(self, table: TsvReader, store: ImageWriter, image_root: Path) -> None:
        self._table = table
        self._store = store
        self._root = image_root
        self._numbers: dict[str, int] = {}
        self._errors: dict[str, str] = {}
        self._files: dict[str, _Images] = {}
        self.rows: dict[str, _Images | _Reference] = {}
        """Index → images or reference, in file order."""

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
                self._take_index(row.cells[index], row.number)
                image_cell, path_cell = (row.cells[place] if place >= 0 else None for place in (image, path))
                self.rows[str(row.cells[index])] = self._images(image_cell, path_cell)
                rows.append([row.cells[place] for place in kept])
                size += sum(len(cell) for cell in rows[-1] if cell is not None)
                if size >= _BATCH_BYTES or len(rows) >= _BATCH_ROWS:
                    writer.write_batch(_text_batch(rows, schema))
                    rows, size = [], 0
            if not self.rows:
                raise VlmakeError(f"{self._table.path}: a header and no rows")
            if rows:
                writer.write_batch(_text_batch(rows, schema))

    def _take_index(self, index: Cell, number: int) -> None:
        if not index:
            raise VlmakeError(f"{self._table.path}: row {number} has no index")
        if index in self.rows:
            first = list(self.rows).index(str(index)) + 1
            raise VlmakeError(f"{self._table.path}: rows {first} and {number} have the same index '{cut(str(index))}'")

    def _images(self, image: Cell, path: Cell) -> _Images | _Reference:
        """Return what a row's two cells say, with its images taken into the store."""
        if isinstance(image, bytes) and (image := image.strip(_BLANKS)):
            if image.startswith(b"[") and image.endswith(b"]"):
                items = list_items(image.decode("latin-1"))
                if items is None:
                    return self._broken("the list of images is not written as a list of quoted texts")
                if items:
                    return self._gather([self._embedded(item.encode("latin-1", "replace")) for item in items])
            elif len(image) <= REFERENCE_LENGTH:
                return _Reference(image.decode("utf-8", "replace"))
            else:
                return self._embedded(image)
        if isinstance(path, str) and (path := path.strip()):
            names = list_items(path) if path.startswith("[") and path.endswith("]") else [path]
            if names is None:
                return self._broken("the list in image_path is not written as a list of quoted texts")
            if names:
                return self._gather([self._from_file(name) for name in names])
        return self._broken("no image")

    def _embedded(self, text: bytes) -> _Images:
        try:
            data = _from_base64(text)
        except ValueError as error:
            return self._broken(f"broken base64: {error}")
        return self._take(data)

    def _from_file(self, name: str) -> _Images:
        if name not in self._files:
            try:
                self._files[name] = self._take(read_inside(self._root, name))
            except ImageError as error:
                self._files[name] = self._broken(str(error))
        return self._files[name]

    def _take(self, data: bytes) -> _Images:
        try:
            digest = self._store.add(data)
        except ImageError as error:
            return self._broken(str(error))
        return _Images((self._numbers.setdefault(digest, len(self._numbers)),))

    def _gather(self, parts: list[_Images]) -> _Images:
        """Join the images of a list; one that is broken breaks the row."""
        for place, part in enumerate(parts, 1):
            if part.error and len(parts) > 1:
                return self._broken(f"image {place} of {len(parts)}: {part.error}")
            if part.error:
                return part
        return _Images(tuple(number for part in parts for number in part.numbers))

    def _broken(self, reason: str) -> _Images:
        return _Images(error=self._errors.setdefault(reason, reason))  # thousands of rows may share one text


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
        raise _changed(tsv, f"it has {size} bytes and had {expected}")


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


def _from_base64(text: bytes) -> bytes:
    """Decode strict base64 that may be broken into lines; ValueError says what is wrong."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        compact = text.translate(None, _BLANKS)
    try:
        return b64decode(compact, validate=True)
    except ValueError:
        if compact.translate(None, _BASE64):
            raise ValueError("characters that are not base64") from None
        raise ValueError(f"{len(compact)} characters are no whole number of groups of four; cut short?") from None


def read_inside(root: Path, name: str) -> bytes:
    """Return the bytes of the file ``name`` below ``root``; ImageError for any that is not there or leads outside."""
    try:
        base = root.resolve()
        path = (base / name).resolve()
        if not path.is_relative_to(base):
            raise ImageError(f"image_path '{cut(name)}' leads out of the image folder")
        # Opened without waiting, so that a named pipe cannot hold the decode.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 (a descriptor)
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(f"image_path '{cut(name)}' is no regular file")
            return file.read()
    except FileNotFoundError:
        raise ImageError(f"missing file: image_path '{cut(name)}' in {root}") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a circle of links, no permission, a NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"cannot read image_path '{cut(name)}': {reason}") from None


def _follow(tsv: Path, rows: Mapping[str, _Images | _Reference]) -> list[_Images]:
    """Replace every reference by what it leads to; VlmakeError for one that leads nowhere or in a circle."""
    known: dict[str, _Images] = {index: found for index, found in rows.items() if isinstance(found, _Images)}

    def row_number(index: str) -> int:
        return list(rows).index(index) + 1

    for start in rows:
        chain: dict[str, None] = {}
        here = start
        while here not in known:
            if here in chain:
                circle = " → ".join([*chain, here][list(chain).index(here) :])
                raise VlmakeError(
                    f"{tsv}: row {row_number(here)}: its image refers to itself in a circle of indexes: {cut(circle)}"
                )
            chain[here] = None
            found = rows[here]
            assert isinstance(found, _Reference)
            if found.target not in rows:
                raise VlmakeError(
                    f"{tsv}: row {row_number(here)}: its image is '{found.target}', which is no row's index "
                    f"(an image cell of up to {REFERENCE_LENGTH} characters refers to another row)"
                )
            here = found.target
        for index in chain:
            known[index] = known[here]
    return [known[index] for index in rows]


def _write_samples(
    path: Path, spill: BinaryIO, about: Mapping[str, Any], intake: _Intake, resolved: list[_Images]
) -> None:
    """Write the samples: the spilled texts with the resolved images beside them, a row group a batch."""
    spill.seek(0)
    digests = intake.digests
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
        rows = zip(intake.rows, resolved, strict=True)
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in reader:
                images, errors, groups = _image_columns(islice(rows, batch.num_rows), digests)
                columns = [
                    *batch.columns,
                    text_lists(images),
                    texts(errors),
                    texts(groups),
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=batch.num_rows)


def _image_columns(
    rows: Iterable[tuple[str, _Images]], digests: list[str]
) -> tuple[list[list[str]], list[str | None], list[str]]:
    """Return the columns ``images``, ``image_error`` and ``group`` for some rows."""
    images: list[list[str]] = []
    errors: list[str | None] = []
    groups: list[str] = []
    for index, found in rows:
        images.append([digests[number] for number in found.numbers])
        errors.append(found.error)
        groups.append(images[-1][0] if images[-1] else f"row:{index}")
    return images, errors, groups
