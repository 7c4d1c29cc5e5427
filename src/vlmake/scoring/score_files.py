"""A score result as files: the table (CSV), the judged rows (Parquet), the detail (JSON) and the items (JSONL)."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.scoring.protocols import ScoreResult, plain_value
from vlmake.store import atomic_path, write_text

JUDGED = pa.schema(
    [
        pa.field("index", pa.string(), nullable=False),
        pa.field("protocol", pa.string(), nullable=False),
        pa.field("extracted", pa.string()),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("confidence", pa.string()),
        pa.field("span_start", pa.int64()),
        pa.field("span_end", pa.int64()),
        pa.field("hit", pa.float64()),
        pa.field("group_hit", pa.float64()),
        pa.field("extraction_status", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("judge", pa.string()),
    ]
)


def table_csv(result: ScoreResult) -> str:
    """Return the configured protocol's table as CSV."""
    return rows_csv(result.table.columns, [[plain_value(cell) for cell in row] for row in result.table.rows])


def rows_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return plain cells as CSV, quoted as VLMEvalKit quotes it; floats lose no digit, None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if cell is None else repr(cell) if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()


def judged_table(result: ScoreResult) -> pa.Table:
    """Return the judged rows with their fixed schema."""
    return pa.Table.from_pandas(result.judged, schema=JUDGED, preserve_index=False).replace_schema_metadata(None)


def detail_json(result: ScoreResult, provenance: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Return the content of ``_score.json``; ``notes`` are lines for people about the predictions."""
    return _json(result.detail | ({"notes": list(notes)} if notes else {}) | {"provenance": dict(provenance)})


def write_json(content: Mapping[str, Any], target: Path) -> None:
    """Write a detail that was put together elsewhere, atomically."""
    write_text(target, _json(content))


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def items_jsonl(result: ScoreResult) -> str:
    """Return one JSON line a sample of the configured protocol: index, extracted, hit, status, rule, confidence.

    ``hit`` is the row's own. Where several rows make one question, ``group_hit`` follows: the question's hit on its
    main row, null on the copies.
    """
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in _items(result))


def _items(result: ScoreResult) -> Iterator[dict[str, Any]]:
    rows = result.judged[result.judged["protocol"] == result.spec.protocol]
    names = ["index", "extracted", "hit", "status", "rule", "confidence"]
    if rows["group_hit"].notna().any():
        names.append("group_hit")
    for cells in zip(*(rows[name] for name in names), strict=True):
        yield {name: plain_value(cell) for name, cell in zip(names, cells, strict=True)}


def write_judged(result: ScoreResult, target: Path) -> None:
    """Write the judged rows atomically."""
    with atomic_path(target) as temporary:
        pq.write_table(judged_table(result), temporary, compression="zstd")


def write_table(result: ScoreResult, target: Path) -> None:
    """Write the configured protocol's table atomically."""
    write_text(target, table_csv(result))


def write_detail(result: ScoreResult, provenance: Mapping[str, Any], target: Path, notes: Sequence[str] = ()) -> None:
    """Write the detail atomically."""
    write_text(target, detail_json(result, provenance, notes))
