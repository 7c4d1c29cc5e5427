"""What a report page shows besides the scores: samples to look at, each with picture, question, answer and verdict.

Samples are gathered a dataset at a time, for all its models at once: rows are read once, and only those that are shown.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.data.images import ImageStore
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Template, options_of, question_text
from vlmake.report.pictures import Picture, thumbnail
from vlmake.report.scores import Score

SAMPLES_PER_VERDICT = 10

RIGHT, WRONG, OPEN = "right", "wrong", "open"
VERDICTS = (RIGHT, WRONG, OPEN)
"""Right, wrong, and neither: nothing was found in the answer, or there was no proper answer."""

_HALF = 0.5
_NO_IMAGE = "no_image"  # the rule of rows that scoring leaves out
_JUDGED = ("index", "extracted", "rule", "span_start", "span_end", "hit", "group_hit", "extraction_status", "status")
_PREDICTED = ("index", "repeat", "prediction", "thinking", "error")
_UNREADABLE = (OSError, pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, KeyError, ValueError, VlmakeError)


@dataclass(frozen=True)
class Sample:
    """One sample as the page shows it; all texts are untrusted."""

    index: str
    verdict: str
    hit: float | None
    group_hit: float | None
    status: str
    found: bool
    extracted: str | None
    rule: str | None
    span: tuple[int, int] | None
    prediction: str | None
    thinking: str | None
    error: str | None
    question: str | None = None
    prompt: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    judge_prompt: str | None = None
    judge_reply: str | None = None
    """What a judge was asked about the sample, and what it said, where one was."""
    pictures: Sequence[Picture | str] = ()
    """Pictures, or a reason in the place of one that cannot be shown."""


@dataclass(frozen=True)
class Samples:
    """The samples of one score by verdict, or the reason why there are none."""

    by_verdict: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    missing: str | None = None


def collect_samples(work_dir: Path, data_dir: Path, scores: Sequence[Score]) -> Iterator[Samples]:
    """Yield the samples of scores that share a benchmark, in the scores' order.

    Whatever cannot be read is named in the samples' place and never an error.
    """
    judged = [_judged(work_dir, score) for score in scores]
    wanted = {sample.index for samples in judged for group in samples.by_verdict.values() for sample in group}
    with _Benchmark(data_dir, paths.parse_dataset(scores[0].dataset).base, wanted) as benchmark:
        for score, samples in zip(scores, judged, strict=True):
            template = _prompt_template(work_dir, score)
            yield Samples(
                {
                    verdict: [benchmark.completed(sample, template) for sample in group]
                    for verdict, group in samples.by_verdict.items()
                },
                samples.missing,
            )


def _judged(work_dir: Path, score: Score) -> Samples:
    """Return the first samples of each verdict, as far as the results know them."""
    if score.parts:
        return Samples(missing=f"shown with its parts: {', '.join(score.parts)}")
    file = work_dir / paths.judged(score.model, score.dataset, score.judged_by)
    try:
        rows = pq.read_table(file, columns=list(_JUDGED), filters=pc.field("protocol") == score.protocol)
        chosen = _chosen(rows)
        indices = [row["index"] for group in chosen.values() for row in group]
        file = work_dir / paths.predictions(score.model, score.dataset)
        answers = _predicted(file, indices)
        said = _said_by_judge(work_dir, score, indices)
        return Samples(
            {
                verdict: [_with_judge(_sample(verdict, row, answers), said) for row in group]
                for verdict, group in chosen.items()
            }
        )
    except _UNREADABLE as error:
        return Samples(missing=f"{file.relative_to(work_dir)} cannot be read: {_reason(error)}")


def _chosen(rows: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Return the first rows of each verdict, in the benchmark's order.

    Where several rows make one question (circular evaluation), only its main row is shown: the one that has a
    ``group_hit``. Rows that the tables leave out for want of an image are left out here.
    """
    grouped = rows.column("group_hit").null_count < len(rows)
    chosen: dict[str, list[dict[str, Any]]] = {verdict: [] for verdict in VERDICTS}
    for batch in rows.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            if row["rule"] == _NO_IMAGE or (grouped and row["group_hit"] is None):
                continue
            group = chosen[_verdict(row)]
            if len(group) < SAMPLES_PER_VERDICT:
                group.append(row)
        if all(len(group) == SAMPLES_PER_VERDICT for group in chosen.values()):
            break
    return chosen


def _verdict(row: Mapping[str, Any]) -> str:
    """Return right, wrong or open; where rows make one question, what counts is the question."""
    hit = row["hit"] if row["group_hit"] is None else row["group_hit"]
    if hit is not None and hit >= _HALF:
        return RIGHT
    answered = row["extraction_status"] == "found" and row["status"] in ("ok", "truncated")
    return WRONG if hit is not None and answered else OPEN


def _predicted(file: Path, indices: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the first answer to each of the given samples."""
    table = pq.read_table(file, columns=list(_PREDICTED), filters=pc.field("index").isin(indices))
    return {row["index"]: row for row in reversed(table.sort_by("repeat").to_pylist())}


def _with_judge(sample: Sample, said: Mapping[str, tuple[str, str | None]]) -> Sample:
    prompt, reply = said.get(sample.index, (None, None))
    return replace(sample, judge_prompt=prompt, judge_reply=reply)


def _said_by_judge(work_dir: Path, score: Score, indices: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Return what a judge was asked about the given samples and what it said; nothing where nobody judged."""
    if not score.judged_by:
        return {}
    file = work_dir / paths.judgements(score.model, score.dataset, score.judged_by)
    rows = pq.read_table(file, columns=["index", "prompt", "reply"], filters=pc.field("index").isin(indices))
    return {row["index"]: (row["prompt"], row["reply"]) for row in rows.to_pylist()}


def _sample(verdict: str, row: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]) -> Sample:
    answer = answers.get(row["index"], {})
    span = (row["span_start"], row["span_end"])
    return Sample(
        index=row["index"],
        verdict=verdict,
        hit=row["hit"],
        group_hit=row["group_hit"],
        status=row["status"],
        found=row["extraction_status"] == "found",
        extracted=row["extracted"],
        rule=row["rule"],
        span=None if None in span else cast(tuple[int, int], span),
        prediction=answer.get("prediction"),
        thinking=answer.get("thinking"),
        error=answer.get("error"),
    )


def _prompt_template(work_dir: Path, score: Score) -> Template | None:
    """Return how the questions were asked, as the predictions' own record says, or None where it says nothing."""
    try:
        metadata = pq.read_schema(work_dir / paths.predictions(score.model, score.dataset)).metadata or {}
        return Template(**json.loads(metadata[b"vlmake"])["prompt"]["template"])
    except (*_UNREADABLE, TypeError):
        return None


class _Benchmark:
    """The decoded rows and images of one benchmark, as far as they are there."""

    def __init__(self, data_dir: Path, base: str, wanted: Iterable[str]) -> None:
        self._rows = _decoded_rows(Path(paths.samples(base, str(data_dir))), list(wanted))
        self._pictures: dict[str, Picture | str] = {}
        try:
            self._images: ImageStore | None = ImageStore(Path(paths.images(base, str(data_dir))))
        except VlmakeError:
            self._images = None

    def __enter__(self) -> "_Benchmark":
        return self

    def __exit__(self, *_: object) -> None:
        if self._images is not None:
            self._images.close()

    def completed(self, sample: Sample, template: Template | None) -> Sample:
        """Return the sample with what the benchmark knows about it; without it where the benchmark is gone."""
        row = self._rows.get(sample.index)
        if row is None:
            return Sample(**{**vars(sample), "pictures": ["decoded benchmark not there"]})
        return Sample(
            **{
                **vars(sample),
                "question": row.get("question"),
                "prompt": _prompt(row, template),
                "options": options_of(row),
                "key": row.get("answer"),
                "pictures": self._shown(row),
            }
        )

    def _shown(self, row: Mapping[str, Any]) -> list[Picture | str]:
        if row.get("image_error"):
            return [str(row["image_error"])]
        return [self._picture(digest) for digest in row.get("images") or []]

    def _picture(self, digest: str) -> Picture | str:
        if digest not in self._pictures:
            try:
                if self._images is None:
                    raise VlmakeError("decoded images not there")
                self._pictures[digest] = thumbnail(digest, self._images.bytes(digest))
            except VlmakeError as error:
                self._pictures[digest] = str(error)
        return self._pictures[digest]


def _prompt(row: Mapping[str, Any], template: Template | None) -> str | None:
    """Return the text of a row's prompt: a class's own where its predictions name no template."""
    if template is None and isinstance(row.get("messages"), str):
        return "".join(part.get("text", "") for part in json.loads(row["messages"]))
    return question_text(template or Template("vqa"), row) if "question" in row else None


def _decoded_rows(file: Path, indices: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the wanted rows by index; none where the file is gone or broken."""
    try:
        table = pq.read_table(file, filters=pc.field("index").isin(indices))
    except _UNREADABLE:
        return {}
    return {row["index"]: row for row in table.to_pylist()}


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
