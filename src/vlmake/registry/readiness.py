"""What a run of a benchmark ends in: a score, a file to hand in, predictions alone, or nothing yet."""

from pathlib import Path
from typing import Literal, NamedTuple

from vlmake.dataset_classes.source import class_name, module_file
from vlmake.errors import VlmakeError
from vlmake.metrics.registry import metric_entry
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.submissions.registry import submission_entry

Result = Literal["score", "submission", "predictions", "nothing"]


class Readiness(NamedTuple):
    """What a benchmark's run ends in, and why it is no score (empty where it is one)."""

    result: Result
    reason: str = ""


def readiness(entry: DatasetEntry, *, judged: bool = False) -> Readiness:
    """Return what a run of the benchmark ends in, with a judge or without; cheap, for lists and plans."""
    if entry.input != "image":
        return Readiness("nothing", f"{_INPUTS[entry.input]} cannot be run yet")
    if entry.dataset is not None:
        return _class_readiness(entry, entry.dataset)
    if not entry.answers:
        if entry.submission is None and entry.path is not None:
            return Readiness(
                "predictions", f"{Path(entry.path).name} has no right answers: add a column `answer` to it for a score"
            )
        if entry.submission is None:
            return Readiness("predictions", "its right answers are not public, and no server takes submissions")
        server = submission_entry(entry.submission).server
        return Readiness("submission", f"its right answers are not public: hand the submission file in at {server}")
    if entry.metric is None:
        return Readiness("predictions", "no metric is known for it")
    if metric_entry(entry.metric).grader and not judged:
        return Readiness("predictions", "an LLM judge has to read its answers: name one with --judge")
    return Readiness("score")


def _class_readiness(entry: DatasetEntry, written: str) -> Readiness:
    """Return whether the class is there; whether it works, only running it tells."""
    try:
        module_file(class_name(written, entry.python_path))
    except VlmakeError as error:
        return Readiness("nothing", str(error))
    return Readiness("predictions", "its entry says `scoring: none`") if entry.scoring else Readiness("score")


_INPUTS = {
    "video": "videos",
    "document": "documents of many pages",
    "conversation": "conversations of several turns",
    "text": "questions without images",
}
