"""MMT-Bench's whole set: a tab-separated table with the options that were read from the answers.

Columns: the benchmark's but the image (names in lower case, but for the options' letters), ``prediction``, ``opt`` (the
letter) and ``log`` (how it was found). Source: the file that VLMEvalKit writes for the same server, where ``Z`` is
"none of the options".
"""

import csv
import io
import string
from pathlib import Path

import pandas as pd

from vlmake.scoring.protocols import align
from vlmake.store import write_text
from vlmake.submissions.rows import Gaps, benchmark_columns, gaps, letters, text

NONE_OF_THEM = "Z"
_READ = ("prediction", "opt", "log")


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. What was not found is ``Z``, never a guess."""
    rows = align(samples, predictions)
    answers = letters(rows)
    own = [name for name in benchmark_columns(samples) if name.lower() not in _READ]
    table = io.StringIO()
    writer = csv.writer(table, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([*(name if name in string.ascii_uppercase else name.lower() for name in own), *_READ])
    for answer, raw, *cells in zip(answers, rows["raw"], *(rows[name] for name in own), strict=True):
        letter = answer.answer if answer.found else NONE_OF_THEM
        writer.writerow([*map(text, cells), text(raw), letter, answer.rule])
    write_text(target, table.getvalue())
    return gaps(rows, answers)
