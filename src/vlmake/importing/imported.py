"""An import on disk: a folder with one Parquet file a dataset, and ``import.json``, which says where they came from.

    imports/{model}/{dataset}.parquet   index, prediction, thinking, status, error, doubts
    imports/{model}/import.json         sources, counts, what the files had lost

The tables hold nothing but what was predicted, so that equal predictions give equal bytes and keys.
"""

import glob
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.importing.doubts import ImportedRow, count_doubts, doubt_lines
from vlmake.paths import parse_dataset
from vlmake.registry.model_entries import ModelEntry, ReplayEntry
from vlmake.store import atomic_path, write_text

RECORD = "import.json"

ROWS = pa.schema(
    [
        pa.field("index", pa.string(), nullable=False),
        pa.field("prediction", pa.string()),
        pa.field("thinking", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("doubts", pa.list_(pa.string()), nullable=False),
    ]
)


def folder_of(work_dir: Path, name: str) -> Path:
    """Return where a model's imported predictions lie in a work directory."""
    return work_dir / "imports" / name


def lock_of(work_dir: Path) -> Path:
    """Return the file that an import into a work directory holds while it writes."""
    return work_dir / "imports" / ".lock"


def table_of(folder: Path, dataset: str) -> Path:
    """Return the file of one dataset's predictions; ``dataset`` is its registered name without a limit."""
    return folder / f"{dataset}.parquet"


def write_import(folder: Path, tables: Mapping[str, Sequence[ImportedRow]], record: Mapping[str, Any]) -> None:
    """Write a whole import; the folder appears when it is complete, in place of an earlier one.

    The caller holds ``lock_of``: what a killed import of that name left behind is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.????????"):
        shutil.rmtree(leftover)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        made, earlier = Path(temporary) / "made", Path(temporary) / "earlier"
        for dataset, rows in tables.items():
            with atomic_path(table_of(made, dataset)) as file:
                pq.write_table(_table(rows), file, compression="zstd")
        write_text(made / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
        if folder.exists():
            folder.rename(earlier)
        made.rename(folder)


def _table(rows: Sequence[ImportedRow]) -> pa.Table:
    listed = [{name: getattr(row, name) for name in ROWS.names} for row in rows]
    return pa.Table.from_pylist(listed, schema=ROWS)


def read_rows(folder: Path, dataset: str) -> dict[str, ImportedRow]:
    """Return the predictions of one dataset by index; raise VlmakeError where there are none, or a damaged file."""
    file = table_of(folder, dataset)
    try:
        rows = pq.read_table(file, schema=ROWS).to_pylist()
    except FileNotFoundError:
        there = ", ".join(sorted(other.stem for other in folder.glob("*.parquet"))) or "nothing"
        raise VlmakeError(f"no predictions of {dataset} were imported into {folder} (there is: {there})") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise VlmakeError(f"{file} is damaged ({str(error).splitlines()[0]}); import it again with --replace") from None
    return {row["index"]: ImportedRow(**{**row, "doubts": tuple(row["doubts"])}) for row in rows}


def notes_about(entry: ModelEntry, dataset: str, indices: Iterable[str]) -> list[str]:
    """Return the lines that stand beside a model's score: of an imported one ``notes_of`` it, of any other none."""
    if not isinstance(entry, ReplayEntry):
        return []
    return notes_of(Path(entry.path), parse_dataset(dataset).base, indices)


def notes_of(folder: Path, dataset: str, indices: Iterable[str]) -> list[str]:
    """Return what is doubtful about imported predictions, as lines to stand beside their score.

    Args:
        folder: The import.
        dataset: Its registered name without a limit.
        indices: The rows that are scored.
    """
    if not table_of(folder, dataset).is_file():
        return [f"the import {folder} is gone: what its files had lost of the answers is not known any more"]
    rows = read_rows(folder, dataset)
    return doubt_lines(count_doubts([rows[index] for index in indices if index in rows]))
