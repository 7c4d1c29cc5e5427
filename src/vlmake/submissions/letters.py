"""A-Bench's and AesBench's test sets, which go to the authors by mail: a sheet of index, prediction and letter.

Both name no format; VLMEvalKit's users send them its prediction file.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from vlmake.extract.answer import Extraction
from vlmake.scoring.protocols import align
from vlmake.submissions.rows import Gaps, gaps, letters
from vlmake.submissions.spreadsheet import number_or_text, write_sheet

COLUMNS = ("index", "prediction", "letter")


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. What was not found is an empty cell."""
    rows = align(samples, predictions)
    answers = letters(rows)
    lines = [(number_or_text(index), raw, letter) for index, raw, letter in letter_rows(rows, answers)]
    return gaps(rows, answers, write_sheet(COLUMNS, lines, target))


def letter_rows(rows: pd.DataFrame, answers: list[Extraction]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield index, prediction and letter of every row; None where there is none."""
    for index, raw, answer in zip(rows["index"], rows["raw"], answers, strict=True):
        yield index, raw, answer.answer if answer.found else None
