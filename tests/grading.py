"""Rows, predictions and verdicts of graded benchmarks, scored as a run scores them."""

import pandas as pd
import pytest

from vlmake.extract.answer import PROTOCOLS
from vlmake.judges.registry import judging_of
from vlmake.judges.verdicts import Judgements
from vlmake.scoring.protocols import ScoringSpec, score

FAILED = ("judge_unreadable", "judge_refused", "judge_error")


def samples_of(rows):
    return pd.DataFrame([{"index": str(number), **row} for number, row in enumerate(rows)], dtype=object)


def predicted(texts):
    statuses = ["model_error" if text is None else "ok" for text in texts]
    frame = pd.DataFrame({"index": [str(n) for n in range(len(texts))], "prediction": pd.Series(texts, dtype=object)})
    return frame.assign(status=statuses)


def scored(metric, rows, texts, verdicts):
    """Score in every protocol; ``verdicts`` holds a verdict, or the rule of a judgement that is none, by row."""
    judged = {
        str(row): {"verdict": None, "rule": said} if said in FAILED else {"verdict": said, "rule": "judge"}
        for row, said in verdicts.items()
    }
    spec = ScoringSpec("x", "vqa", metric, judge="j", judging=str(judging_of(metric)))
    return score(samples_of(rows), predicted(texts), spec, Judgements(judged, {"judge": "j"}))


def tables(result):
    return {protocol: result.tables[protocol].rows for protocol in PROTOCOLS}


def hits(result):
    return {protocol: rows["hit"].tolist() for protocol, rows in result.judged.groupby("protocol")}


def extracted(metric, rows, texts, protocol):
    """What the rules alone found, by row; None where a judge has to read."""
    spec = ScoringSpec("x", "vqa", metric)
    judged = score(samples_of(rows), predicted(texts), spec).judged
    mine = judged[judged["protocol"] == protocol]
    pairs = zip(mine["extracted"], mine["extraction_status"], strict=True)
    return [answer if status == "found" else None for answer, status in pairs]


def same(rows, expected):
    """Compare tables to twelve digits; NaN equals NaN."""
    assert len(rows) == len(expected), rows
    for row, wanted in zip(rows, expected, strict=True):
        assert row == [pytest.approx(cell, rel=1e-12, nan_ok=True) if type(cell) is float else cell for cell in wanted]
