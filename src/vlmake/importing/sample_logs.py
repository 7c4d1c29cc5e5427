"""The sample logs of lm-eval (``samples_TASK_TIME.jsonl``) and lmms-eval (``TIME_samples_TASK.jsonl``).

A line is one document under one filter: ``doc_id``, ``target``, ``filtered_resps``, ``resps`` unless they are the same,
the document or not, and what the task's metrics say. Answers are taken from ``resps``, before any filter picked out
what its own metric wants; every list in them is a list of text, and the first of several answers counts.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vlmake.errors import VlmakeError, did_you_mean
from vlmake.tables.predictions_io import Record, whole_characters

_NAMES = (
    re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.-]+)"),
    re.compile(r"(?P<time>\d{8}_\d{6})_samples_(?P<task>.+)"),
    re.compile(r"(?P<time>)samples_(?P<task>.+)"),
)
_THOUGHT_ENDS = "</think>"


class UnmatchedError(VlmakeError):
    """The log's rows cannot be told to be rows of the benchmark."""


class LogName(NamedTuple):
    """What the name of a sample log says."""

    task: str
    time: str


def log_name(file: Path) -> LogName | None:
    """Return the task and the time in a sample log's name, None for another file."""
    if file.suffix != ".jsonl":
        return None
    found = next((match for pattern in _NAMES if (match := pattern.fullmatch(file.stem))), None)
    return LogName(found["task"], found["time"]) if found else None


def is_sample_log(file: Path) -> bool:
    """Tell whether the first line of a file is one of a sample log, whatever the file is called."""
    if file.suffix != ".jsonl":
        return False
    try:
        with file.open(encoding="utf-8") as lines:
            first = json.loads(lines.readline(1 << 24))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"doc_id", "filtered_resps"} <= first.keys()


def read_sample_log(file: Path, fields: Sequence[str], why: str) -> list[Record]:
    """Return the answers in a sample log, in file order.

    Args:
        file: The log.
        fields: Where the benchmark's index may stand, as paths in a line (``doc.index``); the first that is there is
            taken for all lines.
        why: What to say where none is.

    Raises:
        UnmatchedError: No such field, or one that several documents share.
        VlmakeError: A damaged log, or one of a task without texts.
    """
    records: list[Record] = []
    documents: dict[str, Any] = {}
    field = only_filter = None
    for place, line in _lines(file):
        field = field or _index_field(file, line, fields, why)
        only_filter = only_filter or line.get("filter")
        if line.get("filter") != only_filter:
            continue  # the same answers once more
        index = _at(line, field)
        if isinstance(index, bool) or not isinstance(index, str | int):
            raise UnmatchedError(f"{file}: {place} has no index in '{field}'; name another field with --index")
        if documents.setdefault(str(index), line["doc_id"]) != line["doc_id"]:
            raise UnmatchedError(
                f"{file}: documents {documents[str(index)]} and {line['doc_id']} share the {field} '{index}', so rows"
                " cannot be matched; name another field with --index"
            )
        records.append(_record(file, place, str(index), line))
    if not records:
        raise VlmakeError(f"{file} is empty")
    if all(record.prediction is None for record in records):
        raise VlmakeError(f"{file} holds no text: none of its {len(records)} documents has an answer")
    return records


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, content in enumerate(lines, 1):
            place = f"line {number}"
            if not content.strip():
                continue
            try:
                line = json.loads(content)
            except (ValueError, RecursionError):
                raise VlmakeError(f"{file}: {place} is not JSON; the log is damaged or cut short") from None
            if not isinstance(line, dict) or not {"doc_id", "filtered_resps"} <= line.keys():
                raise VlmakeError(f"{file}: {place} is none of a sample log: no 'doc_id' or no 'filtered_resps'")
            yield place, line


def _index_field(file: Path, line: dict[str, Any], fields: Sequence[str], why: str) -> str:
    for field in fields:
        if _at(line, field) is not None:
            return field
    there = list(_field_paths(line))
    hint = did_you_mean(fields[0], there) if len(fields) == 1 else ""
    said = f"there is no '{fields[0]}'{hint}" if len(fields) == 1 else f"rows cannot be matched: {why}"
    raise UnmatchedError(f"{file}: {said}; name the field of the index with --index (there are: {', '.join(there)})")


def _at(line: dict[str, Any], field: str) -> Any:
    value: Any = line
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _field_paths(line: dict[str, Any]) -> Iterator[str]:
    """Yield the fields that could be an index: short texts and numbers, one level down at most."""
    for key, value in line.items():
        if isinstance(value, dict):
            yield from (f"{key}.{nested}" for nested, inner in value.items() if _is_short(inner))
        elif _is_short(value):
            yield key


def _is_short(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and len(value) < 64)


def _record(file: Path, place: str, index: str, line: dict[str, Any]) -> Record:
    filtered = _first_text(line["filtered_resps"])
    raw = _first_text(line["resps"]) if line.get("resps") else filtered
    if _is_likelihood(line.get("resps") or line["filtered_resps"]):
        raise VlmakeError(f"{file}: {place} holds no text; a task of likelihoods has no predictions to import")
    if raw is None:
        return Record(place, index, None)  # a call that failed
    prediction, thinking = _without_thought(raw, filtered)
    return Record(place, index, whole_characters(prediction), None, whole_characters(thinking))


def _first_text(value: Any) -> str | None:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None


def _is_likelihood(value: Any) -> bool:
    """Tell a list that ends in pairs of a number and a truth value, all of them written as text."""
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return (
        isinstance(value, list)
        and len(value) == 2
        and value[1] in ("True", "False")
        and re.fullmatch(r"-?(\d[\d.e+-]*|inf)", str(value[0])) is not None
    )


def _without_thought(raw: str, filtered: str | None) -> tuple[str, str | None]:
    """Return answer and thought where the log itself took the thought away, else the raw answer."""
    answer = (filtered or "").strip()
    before = raw.rstrip().removesuffix(answer) if answer else raw
    if before != raw.rstrip() and before.rstrip().endswith(_THOUGHT_ENDS) and _THOUGHT_ENDS not in answer:
        return answer, before.strip()
    return raw, None
