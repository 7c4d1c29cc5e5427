"""Decoded rows become questions: the rows of one shard, rendered and keyed."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.backends.base import Row
from vlmake.data.images import NO_IMAGE
from vlmake.data.roundtrip import with_shown_images
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import OPTION_LETTERS, Frames, Part, check_columns, render
from vlmake.inference.shard import Asking, Question, make_question
from vlmake.inference.shards import rows_of_shard
from vlmake.registry.dataset_entries import DatasetEntry, prompt_template
from vlmake.runs.run_config import ImageRoundtrip

_NEEDED = ("index", "image_path", *OPTION_LETTERS, "images", "image_error", "group", "messages")
_NO_FRAMES = Frames()
_MADE = ("images", "image_error", "group")  # columns that decode adds; a dataset class adds ``messages`` to them


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
    the ids of ``vlmake.data.roundtrip``.
    """
    template = prompt_template(entry)
    try:
        present = pq.read_schema(samples).names
        needed = [name for name in present if asking.with_rows or name in {*_NEEDED, *template.columns()}]
        table = pq.read_table(samples, columns=needed).slice(0, limit)
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{samples} is damaged ({error}); delete it and run the same command again") from error
    check_askable(present, entry)
    if "group" not in present or "images" not in present:
        raise VlmakeError(f"{samples} is of another version of vlmake; delete it and run the same command again")
    positions = rows_of_shard(table.column("group").to_pylist(), shard, shards)
    if image_roundtrip == "vlmevalkit" and entry.dataset is None:  # a class saves its images itself
        table = with_shown_images(table, str(samples))
    rows = table.take(positions).to_pylist()
    questions = [
        make_question(
            asking,
            row["index"],
            messages_of(row, entry, frames),
            image_error_of(row, entry),
            row_of(row, entry) if asking.with_rows else None,
        )
        for row in rows
    ]
    return questions, positions


def check_askable(columns: Collection[str], entry: DatasetEntry) -> None:
    """Raise VlmakeError where decoded rows lack what the benchmark's prompts are made of."""
    if entry.dataset is None:
        check_columns(columns, prompt_template(entry))
    elif "messages" not in columns:
        raise VlmakeError(
            f"the rows were not asked of the class {entry.dataset}; delete the samples, they are made anew"
        )


def messages_of(row: Mapping[str, Any], entry: DatasetEntry, frames: Frames = _NO_FRAMES) -> list[Part]:
    """Return what a model is asked for a decoded row: what the benchmark's class made of it, or its template."""
    if entry.dataset is None:
        return render(prompt_template(entry), row, row["images"], frames)
    messages: list[Part] = json.loads(row["messages"])
    return messages


def image_error_of(row: Mapping[str, Any], entry: DatasetEntry) -> str | None:
    """Return why a decoded row cannot be asked, or None; a row without an image can where the entry says so."""
    error: str | None = row.get("image_error")
    return None if entry.image_optional and error == NO_IMAGE else error


def row_of(row: Mapping[str, Any], entry: DatasetEntry) -> Row:
    """Return a decoded row as its TSV, or its class, has it."""
    made = _MADE if entry.dataset is None else (*_MADE, "messages")
    return Row({name.removeprefix("tsv:"): cell for name, cell in row.items() if name not in made}, row["images"])
