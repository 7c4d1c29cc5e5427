"""All scores of a work directory in one table, one row a score."""

import csv
from io import StringIO
from pathlib import Path
from typing import Any

from vlmake import paths
from vlmake.inference.statuses import STATUSES
from vlmake.report.scores import Accuracy, Score, read_scores, status_counts
from vlmake.report.text import one_line
from vlmake.store import write_text

COLUMNS = (
    "model",
    "dataset",
    "protocol",
    "metric",
    "overall_name",
    "overall",
    "n",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "samples",
    *STATUSES,
    "unresolved",
    "judge",
    "judged",
    "judge_fallback",
)
"""``judged`` counts the samples that the judge decided; ``judge_fallback`` says why rules scored in its place."""


def summary_row(score: Score) -> dict[str, Any]:
    """Return a score's row: the configured protocol's overall number, its interval, and how the samples came out."""
    shown = score.configured
    accuracy = shown.accuracy or Accuracy()
    counts = status_counts([score])
    return {
        "model": score.model,
        "dataset": score.dataset,
        "protocol": score.protocol,
        "metric": score.metric,
        "overall_name": shown.overall.name,
        "overall": shown.overall.value,
        "n": shown.overall.n,
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "samples": score.samples.total,
        **{status: counts[status] for status in STATUSES},
        "unresolved": score.unresolved,
        "judge": score.judge,
        "judged": shown.extraction.judged if score.judged_by else None,
        "judge_fallback": one_line(score.judging.fallback or "", 500),
    }


def write_summary(target: Path, work_dir: Path) -> list[str]:
    """Write every score present in ``work_dir`` to ``target``, by model and dataset; return what could not be read.

    Args:
        target: The CSV file, replaced atomically.
        work_dir: The folder with ``results/``.
    """
    scores, broken = read_scores(work_dir, paths.present_scores(work_dir))
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(summary_row(score) for score in scores)
    write_text(target, text.getvalue())
    return broken
