"""Decoded rows become questions: the rows of one shard, rendered and keyed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.inference import Asking, Question, make_question
from vlmake.prompts import OPTION_LETTERS, Frames, check_columns, render
from vlmake.registry import DatasetEntry
from vlmake.shards import rows_of_shard

_NEEDED = ("index", "question", "hint", *OPTION_LETTERS, "images", "image_error", "group")


def read_questions(
    samples: Path,
    entry: DatasetEntry,
    asking: Asking,
    *,
    frames: Frames,
    limit: int | None,
    shard: int,
    shards: int,
) -> tuple[list[Question], list[int]]:
    """Return the questions of a shard and their row positions among the benchmark's first ``limit`` rows.

    Questions on one image are neighbours. ``frames`` are the model's own.
    """
    try:
        present = pq.read_schema(samples).names
        table = pq.read_table(samples, columns=[name for name in _NEEDED if name in present]).slice(0, limit)
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{samples} is damaged ({error}); delete it and run the same command again") from error
    check_columns(present)
    if "group" not in present or "images" not in present:
        raise VlmakeError(f"{samples} is of another version of vlmake; delete it and run the same command again")
    positions = rows_of_shard(table.column("group").to_pylist(), shard, shards)
    rows = table.take(positions).to_pylist()
    questions = [
        make_question(
            asking,
            row["index"],
            render(entry.task, row, row["images"], entry.prompt, frames),
            row.get("image_error"),
        )
        for row in rows
    ]
    return questions, positions
