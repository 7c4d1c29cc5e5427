"""MME: fourteen subtasks of paired yes-or-no questions, 0 to 200 each."""

from dataclasses import replace

import pandas as pd

from vlmake.metrics.base import Metric, Overall, ScoreTable, equal_hits, groups, mean, one_row

SUMS = {
    "perception": (
        *("OCR", "artwork", "celebrity", "color", "count", "existence", "landmark", "position", "posters", "scene"),
    ),
    "reasoning": ("code_reasoning", "commonsense_reasoning", "numerical_calculation", "text_translation"),
}

_SUBTASKS = sum(map(len, SUMS.values()))


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row: perception, reasoning, then the subtasks in file order.

    A subtask's score is accuracy + accuracy+, both times 100. Accuracy+ is the share of images both of whose questions
    are answered right; the first two rows of an image count, and an image with one row (the second fell to a row
    limit) counts as not right. A sum adds up the subtasks that are there and is None when none is.
    Subtasks that no row belongs to are listed as missing, unless all are: then the benchmark has its own.
    Rows of one image share ``image_path``, else ``group``; without either, neighbours are paired.

    Source: Fu et al. 2023 (arXiv 2306.13394); paired by image as VLMEvalKit does.
    """
    scores: dict[str, float | None] = {str(category): _subtask(rows) for category, rows in groups(judged, "category")}
    sums: dict[str, float | None] = {}
    for name, members in SUMS.items():
        present = [value for member in members if (value := scores.get(member)) is not None]
        sums[name] = sum(present) if present else None
    known = [value for value in sums.values() if value is not None]
    total = Overall("perception + reasoning", sum(known) if known else None, len(judged))
    missing = tuple(name for members in SUMS.values() for name in members if name not in scores)
    return replace(one_row(sums | scores, total), missing=missing if len(missing) < _SUBTASKS else ())


def _subtask(rows: pd.DataFrame) -> float:
    """Return accuracy*100 + accuracy+*100 of one subtask's rows."""
    pairs: dict[object, list[float]] = {}
    for image, hit in zip(_images(rows), rows["hit"], strict=True):
        pairs.setdefault(image, []).append(hit)
    both = [pair[0] * pair[1] if len(pair) > 1 else 0.0 for pair in pairs.values()]
    return 100 * mean(rows["hit"]) + 100 * mean(both)


def _images(rows: pd.DataFrame) -> list[object]:
    for column in ("image_path", "group"):
        if column in rows:
            # A missing path stands for itself: rows without one are no pair.
            return [f"row {n}" if pd.isna(path) else path for n, path in enumerate(rows[column].tolist())]
    return [number // 2 for number in range(len(rows))]


METRIC = Metric(hits=equal_hits, table=table)
