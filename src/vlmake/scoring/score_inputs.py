"""What scoring and judging read: a benchmark's samples, a model's predictions, and the spec as one JSON object."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError
from vlmake.paths import parse_dataset


def read_samples(file: Path, dataset: str) -> pd.DataFrame:
    """Return a benchmark's decoded rows, as many as the dataset's row limit allows."""
    return _read(file)[0][: parse_dataset(dataset).limit]


def read_predictions(file: Path) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return a model's answers, and what made them as their file says it, if it does."""
    return _read(file)


def json_object(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object in a text; raise VlmakeError, naming ``where``, for anything else."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise VlmakeError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise VlmakeError(f"{where}: not a JSON object")
    return value


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return a Parquet table and the JSON object under ``vlmake`` in its schema's metadata, if there is one."""
    try:
        content = pq.read_table(path)
    except FileNotFoundError:
        raise VlmakeError(f"{path} is not there") from None
    except pa.ArrowInvalid as error:
        raise VlmakeError(f"{path} is damaged ({error}); delete it and run the same command again") from None
    about = (content.schema.metadata or {}).get(b"vlmake")
    return content.to_pandas(), None if about is None else json_object(about.decode(), f"{path}: metadata")
