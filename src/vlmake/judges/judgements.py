"""The file of a judge's verdicts on one model's answers: schema, writing, reading."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.judges.asking import Judgement
from vlmake.judges.verdicts import Judgements
from vlmake.store import atomic_path, canonical_json

JUDGEMENTS = pa.schema(
    [
        pa.field("index", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("verdict", pa.string()),
        pa.field("verdict_again", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("reply", pa.string()),
        pa.field("asks", pa.int32(), nullable=False),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("cost", pa.float64()),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("error", pa.string()),
    ]
)
"""``verdict_again`` is the second opinion of the same judge, where one was asked for (``self_agreement``)."""


def write_judgements(
    judgements: Sequence[Judgement],
    again: Mapping[str, str | None],
    costs: Mapping[str, float | None],
    about: Mapping[str, Any],
    target: Path,
) -> None:
    """Write verdicts atomically.

    Args:
        judgements: One a sample that was asked about, in the benchmark's order.
        again: Second verdicts by index.
        costs: Money by index; None where tokens or prices are not known.
        about: What ``Judgements.about`` gives back.
        target: The Parquet file.
    """
    rows = [{**asdict(one), "verdict_again": again.get(one.index), "cost": costs.get(one.index)} for one in judgements]
    table = pa.Table.from_pylist(rows, schema=JUDGEMENTS.with_metadata({"vlmake": canonical_json(dict(about))}))
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_fallback(judge: str, judging: str, reason: str, target: Path) -> None:
    """Write that a judge did not answer, so that rules alone score."""
    write_judgements([], {}, {}, {"judge": judge, "judging": judging, "fallback": reason}, target)


def read_judgements(file: Path) -> Judgements:
    """Return a file's verdicts; raise VlmakeError, naming the file, for one that is damaged."""
    try:
        table = pq.read_table(file)
        about = json.loads((table.schema.metadata or {})[b"vlmake"])
    except (OSError, pa.ArrowInvalid, ValueError, KeyError) as error:
        raise VlmakeError(f"{file} is damaged ({error}); delete it and run the same command again") from None
    return Judgements({row["index"]: row for row in table.to_pylist()}, about)
