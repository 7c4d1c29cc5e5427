"""MMBench's test sets: the spreadsheet that its server reads the predictions from.

The server wants ``index``, ``question``, the options A to D, ``category``, ``l2-category`` and ``prediction``, and
finds the letters by itself. Source: OpenCompass's page on MMBench, and VLMEvalKit, whose own prediction file is what
the server asks for: all columns of the benchmark but the image, then the prediction.
"""

from pathlib import Path

import pandas as pd

from vlmake.scoring.protocols import align
from vlmake.submissions.rows import Gaps, benchmark_columns, gaps, text
from vlmake.submissions.spreadsheet import number_or_text, write_sheet

_OPTIONS = ("A", "B", "C", "D")


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. Predictions are handed in as the model gave them."""
    rows = align(samples, predictions)
    own = [name for name in benchmark_columns(samples) if name not in ("index", "prediction")]
    own += [name for name in _OPTIONS if name not in own]
    cells = [rows[name].tolist() if name in samples else [None] * len(rows) for name in own]
    lines = [
        [number_or_text(index), *(text(value) or None for value in values), raw]
        for index, raw, *values in zip(rows["index"], rows["raw"], *cells, strict=True)
    ]
    return gaps(rows, cut=write_sheet(["index", *own, "prediction"], lines, target))
