"""The rows that an audit is about: predictions with a text, their questions, and what each protocol read in them."""

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.audit.labels import answer_category
from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.extract.answer import PROTOCOLS, STRICT, UNANSWERED
from vlmake.registry.tasks import Task

_TASKS = ("yes_no", "multiple_choice", "vqa")
_PIECE = 300  # characters of a span that are kept


class Reading(NamedTuple):
    """What one protocol read: the answer, its category (``vlmake.audit.labels``), and by which rule from where."""

    answer: str | None
    category: str
    found: bool
    rule: str
    span: tuple[int, int] | None
    text: str | None


@dataclass(frozen=True)
class Row:
    """One prediction that can be audited."""

    model: str
    dataset: str
    index: str
    task: Task
    question: str
    options: Mapping[str, str]
    prediction: str
    readings: Mapping[str, Reading]

    @property
    def stratum(self) -> tuple[str, str, str, bool, bool]:
        """Return dataset, model, the strict protocol's rule, if it found an answer, and if all protocols agree."""
        strict = self.readings[STRICT]
        agree = len({reading.category for reading in self.readings.values()}) == 1
        return self.dataset, self.model, strict.rule, strict.found, agree


@dataclass(frozen=True)
class Population:
    """All rows that can be audited, in the benchmarks' order.

    Attributes:
        rows: The rows.
        left_out: Why some rows cannot be audited → how many.
        inputs: File, relative to the work directory → SHA-256.
    """

    rows: list[Row]
    left_out: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)


def read_population(pairs: Sequence[tuple[str, str, Task]], work_dir: Path, data_dir: str) -> Population:
    """Return the rows of finished results that can be audited.

    Args:
        pairs: Model, dataset (with its row limit if any) and task.
        work_dir: Where results/ and the decoded benchmarks lie.
        data_dir: Where the decoded benchmarks lie, relative to it.

    Raises:
        VlmakeError: Files that are missing, damaged or of different predictions; a task without answers to read.
    """
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    inputs: dict[str, str] = {}
    for model, dataset, task in pairs:
        if task not in _TASKS:
            raise VlmakeError(f"dataset '{dataset}': a {task} is scored as a whole, there is no extraction to audit")
        files = result_files(model, dataset, data_dir)
        for file in files:
            if not (work_dir / file).is_file():
                made_by = f"`vlmake run --model {model} --data {dataset}` makes it"
                raise VlmakeError(f"{work_dir / file} is not there; {made_by}")
            inputs[file] = file_digest(work_dir / file)
        found, missing = _rows(model, dataset, task, *(work_dir / file for file in files))
        rows += found
        left_out.update(missing)
    return Population(rows, dict(left_out), inputs)


def result_files(model: str, dataset: str, data_dir: str) -> tuple[str, str, str]:
    """Return where a result's questions, predictions and judged rows are, relative to the work directory."""
    base = paths.parse_dataset(dataset).base
    return paths.samples(base, data_dir), paths.predictions(model, dataset), paths.judged(model, dataset)


def _rows(
    model: str, dataset: str, task: Task, samples: Path, predictions: Path, judged: Path
) -> tuple[list[Row], Counter[str]]:
    if judged.stat().st_mtime_ns < predictions.stat().st_mtime_ns:
        raise VlmakeError(f"{judged} is older than the predictions; score them again")
    questions = {row["index"]: row for row in _read(samples, ["index", "question", "hint", *string.ascii_uppercase])}
    read = _by_protocol(_read(judged, None))
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for answer in _read(predictions, ["index", "repeat", "prediction", "status"]):
        index, text = answer["index"], answer["prediction"]
        if answer.get("repeat"):
            continue  # the first of several generations is the one that is scored
        if index not in questions or index not in read:
            raise VlmakeError(f"{predictions}: index '{index}' is not in {samples} and {judged}; score them again")
        question = questions[index]
        options = {letter: question[letter] for letter in string.ascii_uppercase if question.get(letter) is not None}
        if text is None or answer["status"] in UNANSWERED:
            left_out["no prediction"] += 1
        elif not text.strip():
            left_out["empty prediction"] += 1
        elif read[index][STRICT]["rule"] == "no_image":
            left_out["no image"] += 1
        elif task == "multiple_choice" and not options:
            left_out["choice without options"] += 1
        else:
            asked = "\n".join(part for part in (question.get("hint"), question.get("question")) if part)
            letters = tuple(options)
            readings = {name: _reading(cells, task, letters, text) for name, cells in read[index].items()}
            rows.append(Row(model, dataset, index, task, asked, options, text, readings))
    return rows, left_out


def _by_protocol(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return index → protocol → judged row, protocols in the order in which results list them."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: PROTOCOLS.index(row["protocol"])):
        found.setdefault(row["index"], {})[row["protocol"]] = row
    return found


def _reading(cells: Mapping[str, Any], task: Task, options: Sequence[str], text: str) -> Reading:
    found = cells["extraction_status"] == "found"
    start, end = cells["span_start"], cells["span_end"]
    span = None if start is None or end is None else (start, end)
    category = answer_category(cells["extracted"], found, task, options)
    piece = text[span[0] : span[1]][:_PIECE] if span else None
    return Reading(cells["extracted"], category, found, cells["rule"], span, piece)


def _read(path: Path, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            rows: list[dict[str, Any]] = file.read(
                columns=[name for name in columns if name in there] if columns else None
            ).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{path} is damaged ({error}); delete it and make it again") from None
    return rows
