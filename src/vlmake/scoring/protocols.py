"""Samples and predictions → answers, score tables and the numbers around them, in every protocol.

One set of predictions is read three times: as VLMEvalKit's main branch would, as the release ms-vlmeval would, and
strictly. All three go through one path: the protocol's view of the texts, the task's extractor, a judge for what stays
open, the metric.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.extract.answer import MAIN, MS, PROTOCOLS, STRICT, UNANSWERED, Extraction
from vlmake.extract.registry import load_extractor
from vlmake.extract.vlmevalkit_view import as_text, has_formula, read_as_tsv, through_spreadsheet
from vlmake.inference.statuses import STATUSES
from vlmake.judges.registry import load_judging
from vlmake.judges.settling import settle
from vlmake.judges.verdicts import Judgements
from vlmake.metrics.base import Floats, Metric, ScoreTable, mean
from vlmake.metrics.registry import load_metric, metric_entry
from vlmake.registry.tasks import Task
from vlmake.scoring.intervals import wilson
from vlmake.tables.plain_values import plain

NO_JUDGE = "exact_matching"
"""What VLMEvalKit calls it when no LLM judges."""

NO_IMAGE = "no image"
"""The ``image_error`` of rows that have no image at all; VLMEvalKit drops them, and so do the tables."""

JUDGED_COLUMNS = (
    *("index", "protocol", "extracted", "rule", "confidence", "span_start", "span_end"),
    *("hit", "group_hit", "extraction_status", "status", "judge"),
)


@dataclass(frozen=True)
class ScoringSpec:
    """How a dataset is scored.

    Attributes:
        dataset: Its name, with the row limit if it has one.
        task: Which extractor reads the answers.
        metric: Which metric counts them (``vlmake.metrics.registry``).
        protocol: Whose table is *the* table; the others are shown beside it.
        judge: The judge that settles what the rules leave open; ``exact_matching`` for none.
        judging: How that judge is asked (``judges.registry``), empty without one.
    """

    dataset: str
    task: Task
    metric: str
    protocol: str = MAIN
    judge: str = NO_JUDGE
    judging: str = ""

    def __post_init__(self) -> None:
        """Check the names; VlmakeError for one that is not known or does not fit."""
        task = metric_entry(self.metric).task
        if self.task != task:
            raise VlmakeError(
                f"dataset '{self.dataset}': metric '{self.metric}' counts answers of '{task}', not of '{self.task}'"
            )
        if self.protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            raise VlmakeError(f"dataset '{self.dataset}': unknown protocol '{self.protocol}'; known: {known}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "ScoringSpec":
        """Return the spec that a mapping (a parsed JSON object) describes; other keys are left alone."""
        missing = [key for key in ("dataset", "task", "metric") if key not in values]
        if missing:
            raise VlmakeError(f"the scoring spec lacks '{missing[0]}'")
        return cls(**{key: values[key] for key in cls.__dataclass_fields__ if key in values})


@dataclass(frozen=True)
class ScoreResult:
    """What scoring made.

    Attributes:
        judged: One row a sample and protocol, with the columns ``JUDGED_COLUMNS``; see ``score``.
        tables: Protocol → score table.
        detail: The content of ``_score.json`` without provenance: plain values, None for NaN.
        spec: What was asked for.
    """

    judged: pd.DataFrame
    tables: dict[str, ScoreTable]
    detail: dict[str, Any]
    spec: ScoringSpec

    @property
    def table(self) -> ScoreTable:
        """The configured protocol's table."""
        return self.tables[self.spec.protocol]


def score(
    samples: pd.DataFrame, predictions: pd.DataFrame, spec: ScoringSpec, judgements: Judgements | None = None
) -> ScoreResult:
    """Score one dataset's predictions in every protocol.

    Args:
        samples: One row a sample, in the benchmark's order: the TSV's columns as text with nulls, and ``image_error``
            and ``group`` where decode added them.
        predictions: ``index`` (text), ``prediction`` (text or null), ``status``; with a column ``repeat``, its rows 0
            are scored. A sample without a row counts as ``model_error``.
        spec: How to score.
        judgements: What the spec's judge said of samples that rules leave open; None without a judge.

    Returns:
        The result. In ``judged`` every sample has one row a protocol, protocols in the order of ``PROTOCOLS`` and
        samples in the benchmark's order. ``hit`` is the row's own; where several rows make one question (circular
        evaluation), ``group_hit`` on the main row is the question's. Rows without an image have the rule ``no_image``
        and no hit: tables leave them out.

    Raises:
        VlmakeError: No answers to compare with, a repeated or unknown index, or what the metric needs is not there.
    """
    more_columns = metric_entry(spec.metric).columns
    samples = _with_answer(samples, more_columns)
    _check_answers(samples, spec)
    _check_options(samples, spec)
    aligned = align(samples, predictions)
    metric = load_metric(spec.metric)
    seen = _Views(aligned, more_columns)
    judged, tables, numbers = [], {}, {}
    for protocol in PROTOCOLS:
        frame = _judge(seen.view(protocol), protocol, spec, metric, judgements)
        tables[protocol] = metric.table(frame)
        numbers[protocol] = _numbers(frame, tables[protocol], metric, judged=spec.judge != NO_JUDGE)
        judged.append(_judged_rows(aligned, frame, protocol))
    detail = {
        "dataset": spec.dataset,
        "metric": spec.metric,
        "protocol": spec.protocol,
        "judge": spec.judge,
        "protocols": numbers,
        "samples": _sample_counts(aligned),
        **({"judging": dict(judgements.about)} if judgements is not None else {}),
    }
    return ScoreResult(pd.concat(judged, ignore_index=True), tables, detail, spec)


def open_rows(samples: pd.DataFrame, predictions: pd.DataFrame, spec: ScoringSpec) -> pd.DataFrame:
    """Return the samples in whose answer rules found nothing in some protocol, with ``raw``, the prediction's text.

    Samples without an image, without an answer, or with an empty one are left out: there is nothing to judge.
    """
    more_columns = metric_entry(spec.metric).columns
    aligned = align(_with_answer(samples, more_columns), predictions)
    seen, extractor = _Views(aligned, more_columns), load_extractor(spec.metric)
    left: set[str] = set()
    for protocol in PROTOCOLS:
        view = seen.view(protocol)
        answers = extractor.extract(view, protocol)
        left |= {index for index, answer in zip(view["index"], answers, strict=True) if not answer.found}
    wanted = [
        kept and index in left and isinstance(raw, str) and bool(raw.strip())
        for kept, index, raw in zip(aligned["kept"], aligned["index"], aligned["raw"], strict=True)
    ]
    return aligned[wanted].drop(columns=["kept"]).reset_index(drop=True)


def _with_answer(samples: pd.DataFrame, more_columns: Sequence[str]) -> pd.DataFrame:
    """Return the samples with a column ``answer``; where a benchmark has it by another name alone, it is that."""
    named = [name for name in ("answers", "gpt4_ans") if name in samples and name in more_columns]
    return samples if "answer" in samples or not named else samples.assign(answer=samples[named[0]])


def _check_answers(samples: pd.DataFrame, spec: ScoringSpec) -> None:
    if not len(samples):
        raise VlmakeError(f"dataset '{spec.dataset}' has no rows: there is nothing to score")
    if "answer" not in samples or (len(samples) and samples["answer"].isna().all()):
        raise VlmakeError(f"dataset '{spec.dataset}' has no answers: its predictions can be kept, but not scored")


def _check_options(samples: pd.DataFrame, spec: ScoringSpec) -> None:
    """Refuse a choice set whose options no rule would see: every letter would be wrong."""
    own_reader = metric_entry(spec.metric).extractor  # MMMU's takes questions without options
    if spec.task == "multiple_choice" and not own_reader and not set(string.ascii_uppercase) & set(samples.columns):
        raise VlmakeError(
            f"dataset '{spec.dataset}' has no option columns A, B, …, by which '{spec.metric}' reads letters: put its"
            " options there (`vlmake new-dataset` does with a table's `options`), or say `scoring: none` in its entry"
        )


def align(samples: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the samples with ``raw`` (text or None), ``status`` and ``kept`` (has an image), in the samples' order.

    Raises VlmakeError for predictions of no sample, or of one sample twice.
    """
    if "repeat" in predictions:
        predictions = predictions[predictions["repeat"].astype("int64") == 0]
    indices = [str(index) for index in predictions["index"]]
    by_index = dict(
        zip(indices, zip(_texts(predictions["prediction"]), predictions["status"], strict=True), strict=True)
    )
    if len(by_index) != len(indices):
        seen: set[str] = set()
        twice = next(index for index in indices if index in seen or seen.add(index))  # type: ignore[func-returns-value]
        raise VlmakeError(f"predictions: index '{twice}' is there more than once")
    known = [str(index) for index in samples["index"]]
    if unknown := by_index.keys() - set(known):
        first = next(index for index in indices if index in unknown)
        raise VlmakeError(f"predictions: index '{first}' is not in the dataset")
    pairs = [by_index.get(index, (None, "model_error")) for index in known]
    statuses = [str(status) for _, status in pairs]
    if odd := next((status for status in statuses if status not in STATUSES), None):
        raise VlmakeError(f"predictions: unknown status '{odd}'; known: {', '.join(STATUSES)}")
    raws = [None if status in UNANSWERED else text for (text, _), status in zip(pairs, statuses, strict=True)]
    errors = _texts(samples["image_error"]) if "image_error" in samples else [None] * len(samples)
    return samples.reset_index(drop=True).assign(
        index=pd.Series(known, dtype=object),
        raw=pd.Series(raws, dtype=object),
        status=pd.Series(statuses, dtype=object),
        kept=[error != NO_IMAGE for error in errors],
    )


def _texts(column: "pd.Series[Any]") -> list[str | None]:
    return [None if gone else str(value) for value, gone in zip(column.tolist(), column.isna(), strict=True)]


class _Views:
    """The aligned samples as each protocol sees them; the two releases share a view where they see the same."""

    def __init__(self, aligned: pd.DataFrame, more_columns: Sequence[str]) -> None:
        self._kept = aligned[aligned["kept"]].reset_index(drop=True)
        self._benchmark = read_as_tsv(aligned, more_columns)[aligned["kept"].to_numpy()].reset_index(drop=True)
        self._main = self._through_spreadsheet(formulas=False)

    def view(self, protocol: str) -> pd.DataFrame:
        """Return one row a sample with an image: its columns as ``protocol`` sees them, ``raw`` and ``prediction``."""
        if protocol == STRICT:
            return self._kept.assign(prediction=self._kept["raw"])
        if protocol == MS and has_formula(self._benchmark, self._kept["raw"].tolist()):
            return self._through_spreadsheet(formulas=True)
        return self._main

    def _through_spreadsheet(self, formulas: bool) -> pd.DataFrame:
        seen = through_spreadsheet(self._benchmark, self._kept["raw"].tolist(), formulas)
        seen["prediction"] = pd.Series(as_text(seen["prediction"]), index=seen.index, dtype=object)
        seen["answer_in_tsv"] = self._benchmark["answer"]
        for column in ("index", "raw", "status", "group"):
            if column in self._kept:
                seen[column] = self._kept[column]
        return seen


def _judge(
    view: pd.DataFrame, protocol: str, spec: ScoringSpec, metric: Metric, judgements: Judgements | None
) -> pd.DataFrame:
    """Return the view with ``gold``, the answers (``extracted``, ``rule``, places, ``found``), ``judge``, ``hit``."""
    extractor = load_extractor(spec.metric)
    answers = extractor.extract(view, protocol)
    by_judge: list[str | None] = [None] * len(answers)
    if judgements is not None and judgements.fallback is None:
        settled = settle(view["index"].tolist(), answers, judgements, load_judging(spec.judging), protocol)
        by_judge = [spec.judge if after is not before else None for before, after in zip(answers, settled, strict=True)]
        answers = settled
    columns: list[tuple[Any, ...]] = list(zip(*answers, strict=True)) or [()] * len(Extraction._fields)
    names = ("extracted", "rule", "span_start", "span_end", "found", "confidence")
    frame = view.assign(
        protocol=protocol,
        judge=pd.Series(by_judge, index=view.index, dtype=object),
        gold=pd.Series(extractor.gold(view, protocol), index=view.index, dtype=object),
        **{
            name: pd.Series(list(column), index=view.index, dtype=object)
            for name, column in zip(names, columns, strict=True)
        },
    )
    frame = frame.assign(hit=metric.hits(frame))
    return frame.assign(group_hit=metric.group_hits(frame)) if metric.group_hits else frame


def _judged_rows(aligned: pd.DataFrame, frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Return the rows of ``judged`` for one protocol, rows without an image included."""
    rows = pd.DataFrame(index=aligned.index)
    places = np.flatnonzero(aligned["kept"].to_numpy())
    source = frame.set_index(places)
    rows["index"] = aligned["index"]
    rows["protocol"] = protocol
    rows["extracted"] = source["extracted"].reindex(rows.index).astype(object).where(lambda value: value.notna(), None)
    rows["rule"] = source["rule"].reindex(rows.index).astype(object).where(aligned["kept"], "no_image")
    rows["confidence"] = (
        source["confidence"].reindex(rows.index).astype(object).where(lambda level: level.notna(), None)
    )
    for name in ("span_start", "span_end"):
        rows[name] = pd.array(source[name].reindex(rows.index).tolist(), dtype="Int64")
    rows["hit"] = source["hit"].reindex(rows.index).astype("float64")
    rows["group_hit"] = source["group_hit"].reindex(rows.index) if "group_hit" in source else np.nan
    found = source["found"].reindex(rows.index).eq(True)
    rows["extraction_status"] = np.where(found, "found", "unresolved")
    rows["status"] = aligned["status"]
    rows["judge"] = source["judge"].reindex(rows.index).astype(object).where(lambda name: name.notna(), None)
    return rows[list(JUDGED_COLUMNS)]


def _numbers(frame: pd.DataFrame, table: ScoreTable, metric: Metric, *, judged: bool) -> dict[str, Any]:
    """Return what ``_score.json`` says about one protocol; every NaN is None."""
    found = frame["found"].to_numpy(dtype=bool)
    open_rows = ~found | frame["status"].isin(UNANSWERED).to_numpy()
    units = _unit_hits(frame, metric)
    accuracy = mean(units)
    interval = wilson(accuracy, len(units))
    bounds = [mean(_unit_hits(frame.assign(hit=frame["hit"].where(~open_rows, value)), metric)) for value in (0.0, 1.0)]
    return {
        "columns": table.columns,
        "rows": [[plain_value(cell) for cell in row] for row in table.rows],
        "overall": {"name": table.overall.name, "value": plain_value(table.overall.value), "n": table.overall.n},
        "accuracy": {
            "value": plain_value(accuracy),
            "n": len(units),
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "method": "wilson-95",
        },
        "bounds": [plain_value(bound) for bound in bounds],
        "extraction": _extraction_counts(frame, judged=judged),
        **({"missing": list(table.missing)} if table.missing else {}),
        **{
            name: {"columns": columns, "rows": [[plain_value(cell) for cell in row] for row in rows]}
            for name, (columns, rows) in table.more.items()
        },
    }


def _extraction_counts(frame: pd.DataFrame, *, judged: bool) -> dict[str, int]:
    """Return how many answers were found and how many were not, and of ``judged`` scores how many the judge found."""
    found = frame["found"].to_numpy(dtype=bool)
    by_judge = found & frame["judge"].notna().to_numpy()
    counts = {"found": int(found.sum()), "unresolved": int((~found).sum())}
    return counts | ({"judged": int(by_judge.sum())} if judged else {})


def _unit_hits(frame: pd.DataFrame, metric: Metric) -> Floats:
    """Return the hits of what is counted: questions where rows form groups, else rows; NaN counts for nothing."""
    hits = metric.group_hits(frame) if metric.group_hits else frame["hit"].to_numpy(dtype=np.float64)
    return hits[~np.isnan(hits)]


def plain_value(value: Any) -> Any:
    """Return a table's cell as JSON has it: numpy's numbers as Python's, truth values as 0 and 1, NaN as None."""
    cell = plain(value)
    return int(cell) if isinstance(cell, bool) else cell


def _sample_counts(aligned: pd.DataFrame) -> dict[str, Any]:
    counts = aligned["status"].value_counts()
    return {
        "total": len(aligned),
        "no_image": int((~aligned["kept"]).sum()),
        "by_status": {status: int(counts.get(status, 0)) for status in STATUSES},
    }
