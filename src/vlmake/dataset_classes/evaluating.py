"""A class's own ``evaluate`` on a model's predictions: its table as a score of the one protocol ``class``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.dataset_classes.process import ClassCall, ask_class, scratch_folder
from vlmake.dataset_classes.results import Cell, is_overall
from vlmake.dataset_classes.source import PROTOCOL
from vlmake.extract.answer import UNANSWERED
from vlmake.inference.statuses import STATUSES
from vlmake.paths import LimitedName
from vlmake.scoring.intervals import wilson
from vlmake.scoring.score_files import JUDGED, rows_csv, write_json
from vlmake.store import atomic_path, write_text

NO_JUDGE = "exact_matching"
"""What VLMEvalKit calls it when no LLM judges."""


@dataclass(frozen=True)
class Answer:
    """What a model answered to one sample, and how that came out."""

    index: str
    prediction: str | None
    status: str


@dataclass(frozen=True)
class ClassScore:
    """What the class made of the answers: its table, ``_score.json`` without provenance, and the judged rows."""

    columns: list[str]
    rows: list[list[Cell]]
    detail: dict[str, Any]
    judged: list[dict[str, Any]]

    def write(self, table: Path, detail: Path, provenance: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        """Write the table and its detail, each atomically; ``notes`` are lines for people about the predictions."""
        write_text(table, rows_csv(self.columns, self.rows))
        write_json(self.detail | ({"notes": list(notes)} if notes else {}) | {"provenance": dict(provenance)}, detail)

    def write_judged(self, target: Path) -> None:
        """Write the judged rows atomically."""
        with atomic_path(target) as temporary:
            pq.write_table(pa.Table.from_pylist(self.judged, schema=JUDGED), temporary, compression="zstd")

    def items_jsonl(self) -> str:
        """Return one JSON line a sample: index, extracted, hit, status, rule."""
        names = ("index", "extracted", "hit", "status", "rule")
        lines = (json.dumps({name: row[name] for name in names}, ensure_ascii=False) for row in self.judged)
        return "".join(f"{line}\n" for line in lines)


def score_by_class(call: ClassCall, model: str, judge: str | None, answers: Sequence[Answer]) -> ClassScore:
    """Let the class evaluate a model's answers.

    Args:
        call: The class and its benchmark, with the limit up to which it was asked.
        model: The model's name, which the class sees in the name of its file.
        judge: The name of the LLM judge, handed to the class as ``judge_kwargs["model"]``; None for none.
        answers: One a sample, in the benchmark's order.

    Raises:
        VlmakeError: What the class raised, or a result that is no table.
    """
    judge = judge or NO_JUDGE
    kwargs = {"model": judge, "nproc": 4, "verbose": False}
    with scratch_folder(call.log) as scratch:
        texts = {answer.index: answer.prediction for answer in answers}
        (scratch / "predictions.json").write_text(json.dumps(texts), encoding="utf-8")
        result = ask_class(call, "evaluate", scratch, model=model, judge_kwargs=kwargs)
    columns, rows, hits = result["columns"], result["rows"], result["hits"] or {}
    detail = {
        "dataset": str(LimitedName(call.dataset, call.limit)),
        "metric": str(call.called),
        "protocol": PROTOCOL,
        "judge": judge,
        "protocols": {PROTOCOL: _numbers(columns, rows, hits, answers)},
        "samples": {
            "total": len(answers),
            "no_image": 0,
            "by_status": {status: sum(answer.status == status for answer in answers) for status in STATUSES},
        },
    }
    return ClassScore(columns, rows, detail, [_judged(answer, hits.get(answer.index)) for answer in answers])


def _numbers(
    columns: list[str], rows: list[list[Cell]], hits: Mapping[str, float], answers: Sequence[Answer]
) -> dict[str, Any]:
    """Return what ``_score.json`` says of the class's protocol; shares and bounds only for hits between 0 and 1."""
    name, value = overall(columns, rows)
    shares = hits if all(0 <= hit <= 1 for hit in hits.values()) else {}
    accuracy = sum(shares.values()) / len(shares) if shares else None
    interval = None if accuracy is None else wilson(accuracy, len(shares))
    unanswered = {answer.index for answer in answers if answer.status in UNANSWERED}
    bounds = [
        sum(extreme if index in unanswered else hit for index, hit in shares.items()) / len(shares) if shares else None
        for extreme in (0.0, 1.0)
    ]
    return {
        "columns": columns,
        "rows": rows,
        "overall": {"name": name, "value": value, "n": len(answers)},
        "accuracy": {
            "value": accuracy,
            "n": len(shares),
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "method": "wilson-95",
        },
        "bounds": bounds,
        "extraction": {"found": len(hits), "unresolved": 0},
    }


def overall(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> tuple[str | None, float | None]:
    """Return name and value of the number by which a table is quoted.

    It is in the first row: the column called Overall, in any case, or else the first number. An Overall that is a gap
    has no value, and no other number stands in for it.
    """
    cells = list(zip(columns, rows[0], strict=True)) if rows else []
    named = [(name, cell) for name, cell in cells if is_overall(name) and not isinstance(cell, str)]
    numbers = [(name, cell) for name, cell in cells if isinstance(cell, int | float)]
    name, cell = next(iter([*named, *numbers]), (None, None))
    return name, None if cell is None else float(cell)


def _judged(answer: Answer, hit: float | None) -> dict[str, Any]:
    return {
        "index": answer.index,
        "protocol": PROTOCOL,
        "extracted": None,
        "rule": PROTOCOL,
        "span_start": None,
        "span_end": None,
        "hit": hit,
        "group_hit": None,
        "extraction_status": "not_extracted" if hit is None else "found",
        "status": answer.status,
    }
