"""A dataset class instead of the decode stage: its rows with the messages it makes of them, and all images it shows.

The files are those of ``vlmake.data.decode``, with one column more: ``messages``, the parts of each row's prompt as
JSON. An image that the class made itself (a crop, a drawing) is in the image store like any other.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pybase64 import b64decode

from vlmake.data.decode import Decoded
from vlmake.data.images import POLICY, ImageError, ImageWriter
from vlmake.dataset_classes.process import ClassCall, ask_class, class_fault, scratch_folder
from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Part
from vlmake.store import atomic_path, canonical_json, disk_errors

OWN_COLUMNS = ("images", "image_error", "group", "messages")
"""Columns that are added; one of the class's own rows that has such a name is kept as ``tsv:<name>``."""


def published_tsv(call: ClassCall) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the URLs and md5 sums of the TSV that the class's ``DATASET_URL`` and ``DATASET_MD5`` name, if they do."""
    with scratch_folder(call.log) as scratch:
        answer = ask_class(call, "published", scratch)
    url, md5 = answer["url"], answer["md5"]
    if url is not None and "://" not in url:
        url = (call.called.folder / Path(url).expanduser()).absolute().as_uri()
    return tuple(filter(None, [url])), tuple(filter(None, [md5]))


def decode_class(call: ClassCall, source: Mapping[str, Any], samples_out: Path, images_out: Path) -> Decoded:
    """Build every row's prompt and write the benchmark's files, each atomically and only when all went well.

    Args:
        call: The class and its benchmark; all rows are asked for, whatever its limit.
        source: What ``source.json`` says of the TSV.
        samples_out: One row a row of the class: its columns but ``image`` as text, then ``OWN_COLUMNS``.
        images_out: The image store.

    Raises:
        VlmakeError: A fault of the class, named by method and row, or another TSV than the source.
    """
    if file_digest(call.tsv) != source["sha256"]:
        raise VlmakeError(f"{call.tsv} changed after the download step; run that step again (delete source.json)")
    with (
        disk_errors(samples_out.parent),
        scratch_folder(samples_out) as scratch,
        atomic_path(samples_out) as samples_part,
        atomic_path(images_out) as images_part,
    ):
        columns = ask_class(call, "ask", scratch)["columns"]
        with ImageWriter(images_part) as store:
            rows = [_row(asked, store) for asked in _lines(call, scratch / "rows.jsonl")]
        if not rows:
            raise VlmakeError(f"dataset '{call.dataset}': {call.called} has no rows")
        about = {
            "rows": len(rows),
            "images": store.count,
            "turned_images": store.turned,
            "tsv_sha256": source["sha256"],
            "tsv_bytes": call.tsv.stat().st_size,
            "embedded": False,  # whatever the TSV holds, images are files when the class shows them
            "class": str(call.called),
            **POLICY,
        }
        pq.write_table(_table(rows, columns, about), samples_part, compression="zstd")
    broken = [(number, row["image_error"]) for number, row in enumerate(rows, 1) if row["image_error"]]
    first = f"row {broken[0][0]}: {broken[0][1]}" if broken else None
    return Decoded(len(rows), store.count, len(broken), first, store.turned)


def _lines(call: ClassCall, file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows that the class's process wrote; VlmakeError where the class made away with them."""
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise class_fault(call, f"ask: the rows that its process wrote cannot be read ({error})") from None


def _row(asked: Mapping[str, Any], store: ImageWriter) -> dict[str, Any]:
    """Return a row with its own columns, its images taken into the store; one that is broken marks the row."""
    index, error = asked["index"], asked.get("image_error")
    messages: list[Part] = []
    if error is None:
        try:
            messages = [_part(part, store) for part in asked["messages"]]
        except ImageError as fault:
            messages, error = [], str(fault)
    images = [part["image"] for part in messages if part["type"] == "image"]
    cells = {_column_name(name): value for name, value in asked["cells"].items()}
    return {
        **cells,
        "index": index,
        "images": images,
        "image_error": error,
        "group": images[0] if images else f"row:{index}",
        "messages": canonical_json(messages),
    }


def _part(part: Mapping[str, str], store: ImageWriter) -> Part:
    if part["type"] == "text":
        return {"type": "text", "text": part["value"]}
    return {"type": "image", "image": store.add(_bytes(part["value"]))}


def _bytes(value: str) -> bytes:
    """Return an image's bytes from a data URI or a path."""
    if value.startswith("data:"):
        try:
            return b64decode(value.partition(",")[2], validate=True)
        except ValueError as error:
            raise ImageError(f"broken base64: {error}") from None
    file = Path(value)
    try:
        if not file.is_file():
            raise ImageError(f"missing file: {file}")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read {file}: {error}") from None


def _column_name(name: str) -> str:
    return f"tsv:{name}" if name in OWN_COLUMNS else name


def _table(rows: list[dict[str, Any]], columns: list[str], about: Mapping[str, Any]) -> pa.Table:
    fields = [pa.field(_column_name(name), pa.string()) for name in columns]
    fields += [pa.field("images", pa.list_(pa.string()))]
    fields += [pa.field(name, pa.string()) for name in OWN_COLUMNS[1:]]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields, metadata={"vlmake": canonical_json(about)}))
