"""Decoded rows become questions: the rows of one shard, rendered and keyed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.inference import Asking, Question, make_question
from vlmake.prompts import OPTION_LETTERS, Frames, check_columns, render
from vlmake.registry import DatasetEntry, prompt_template
from vlmake.roundtrip import shown_ids, tsv_facts
from vlmake.run_config import ImageRoundtrip
from vlmake.shards import rows_of_shard

_NEEDED = ("index", "image_path", *OPTION_LETTERS, "images", "image_error", "group")


def read_questions(
    samples: Path,
    entry: DatasetEntry,
    asking: Asking,
    *,
    frames: Frames,
    limit: int | None,
    shard: int,
    shards: int,
    image_roundtrip: ImageRoundtrip = "off",
) -> tuple[list[Question], list[int]]:
    """Return the questions of a shard and their row positions among the benchmark's first ``limit`` rows.

    Questions on one image are neighbours. ``frames`` are the model's own. With ``image_roundtrip`` images are named by
    the ids of ``roundtrip.shown_ids``.
    """
    template = prompt_template(entry)
    try:
        schema = pq.read_schema(samples)
        present = schema.names
        needed = [name for name in present if name in {*_NEEDED, *template.columns()}]
        table = pq.read_table(samples, columns=needed).slice(0, limit)
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{samples} is damaged ({error}); delete it and run the same command again") from error
    check_columns(present, template)
    if "group" not in present or "images" not in present:
        raise VlmakeError(f"{samples} is of another version of vlmake; delete it and run the same command again")
    positions = rows_of_shard(table.column("group").to_pylist(), shard, shards)
    rows = table.take(positions).to_pylist()
    if image_roundtrip != "off":
        facts = tsv_facts(schema.metadata, str(samples))
        rows = [row | {"images": shown_ids(row["images"], row.get("image_path"), facts)} for row in rows]
    questions = [
        make_question(
            asking,
            row["index"],
            render(template, row, row["images"], frames),
            row.get("image_error"),
        )
        for row in rows
    ]
    return questions, positions
