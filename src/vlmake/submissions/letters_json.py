"""Q-Bench's test set, which goes to the authors by mail, as JSON: a list of ``index``, ``prediction``, ``letter``.

Source: Q-Bench's submission guideline, which asks for JSON and leaves its keys open.
"""

from pathlib import Path

import pandas as pd

from vlmake.scoring.protocols import align
from vlmake.store import write_text
from vlmake.submissions.documents import json_text
from vlmake.submissions.letters import COLUMNS, letter_rows
from vlmake.submissions.rows import Gaps, gaps, letters, text


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. What was not found is an empty text."""
    rows = align(samples, predictions)
    answers = letters(rows)
    entries = [dict(zip(COLUMNS, map(text, row), strict=True)) for row in letter_rows(rows, answers)]
    write_text(target, json_text(entries))
    return gaps(rows, answers)
