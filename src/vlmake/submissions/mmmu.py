"""MMMU's test set: a JSON object from a question's ``id`` to its answer, a letter or, for open questions, a text.

Source: MMMU's evaluation code (``total_val_output.json`` is its example) and VLMEvalKit's file for the same server.
"""

from pathlib import Path

import pandas as pd

from vlmake.extract import mmmu
from vlmake.extract.answer import STRICT
from vlmake.scoring.protocols import align
from vlmake.store import write_text
from vlmake.submissions.documents import json_text
from vlmake.submissions.rows import Gaps, gaps, identifiers


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. What was not found is an empty text."""
    rows = align(samples, predictions)
    answers = mmmu.extract(rows, STRICT)
    pairs = zip(identifiers(samples, "id"), answers, strict=True)
    write_text(target, json_text({name: answer.answer if answer.found else "" for name, answer in pairs}))
    return gaps(rows, answers)
