"""The predictions table and its companion of timings: schema, writing, merging shards."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.store import atomic_path, canonical_json

_PREDICTION_FIELDS = [
    pa.field("index", pa.string(), nullable=False),
    pa.field("repeat", pa.int32(), nullable=False),
    pa.field("key", pa.string(), nullable=False),
    pa.field("prediction", pa.string()),
    pa.field("thinking", pa.string()),
    pa.field("status", pa.string(), nullable=False),
    pa.field("finish_reason", pa.string()),
    pa.field("prompt_tokens", pa.int32()),
    pa.field("completion_tokens", pa.int32()),
    pa.field("error", pa.string()),
]
_SECONDS = pa.field("seconds", pa.float64(), nullable=False)
_POSITION = pa.field("position", pa.int64(), nullable=False)


class UnlikeShardsError(VlmakeError):
    """Shards that do not make one table; every answer in them is in the journal as well."""


PREDICTIONS = pa.schema(_PREDICTION_FIELDS)
TIMING = pa.schema([*_PREDICTION_FIELDS[:2], _SECONDS])
SHARD = pa.schema([_POSITION, *_PREDICTION_FIELDS, _SECONDS])


def shard_table(rows: Sequence[Mapping[str, Any]], positions: Sequence[int], spec: Mapping[str, Any]) -> pa.Table:
    """Return a shard's table: predictions with their row position in the benchmark and their seconds."""
    listed = [{"position": position, **row} for position, row in zip(positions, rows, strict=True)]
    return pa.Table.from_pylist(listed, schema=SHARD.with_metadata({"vlmake": canonical_json(spec)}))


def write_shard(table: pa.Table, target: Path) -> None:
    """Write one shard atomically."""
    _write(table, target)


def read_shard(file: Path) -> pa.Table:
    """Return one shard's table; raise UnlikeShardsError for a damaged file."""
    try:
        return pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise UnlikeShardsError(f"{file} is damaged ({error})") from error


def write_predictions(
    shards: Sequence[pa.Table], predictions: Path, timing: Path, records: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the shards' rows in the benchmark's order: answers to one file, seconds and run records to the other.

    Equal answers give equal bytes in ``predictions``. Shards may come from machines with other library versions, which
    are all named. Raises UnlikeShardsError when shards were made by different specs, or a row is missing or doubled.
    """
    specs = [json.loads(table.schema.metadata[b"vlmake"]) for table in shards]
    versions = list({canonical_json(spec.pop("versions", None)): None for spec in specs})
    if len({canonical_json(spec) for spec in specs}) != 1:
        raise UnlikeShardsError(f"the shards of {predictions} were made by different models or settings")
    table = pa.concat_tables(shards).sort_by("position")
    if table.column("position").to_pylist() != list(range(len(table))):
        raise UnlikeShardsError(f"the shards of {predictions} do not hold every row exactly once")
    listed = [json.loads(text) for text in versions]
    metadata = {"vlmake": canonical_json(specs[0] | {"versions": listed[0] if len(listed) == 1 else listed})}
    _write(table.select(PREDICTIONS.names).cast(PREDICTIONS.with_metadata(metadata)), predictions)
    made_in = {"runs": canonical_json(list(records))}
    _write(table.select(TIMING.names).cast(TIMING.with_metadata(made_in)), timing)


def _write(table: pa.Table, target: Path) -> None:
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary, compression="zstd")
