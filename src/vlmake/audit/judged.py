"""What a judge decided about one model's answers to one benchmark, and what each protocol made of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.audit.judge_labels import Kind, as_verdict, category, kind_of, options_of
from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.extract.answer import PROTOCOLS
from vlmake.judges.judgements import read_judgements
from vlmake.judges.verdicts import Judgements
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_inputs import read_predictions, read_samples

_CONTEXT: Mapping[str, Mapping[str, str]] = {
    "mmvet": {"answer": "Reference"},
    "llavabench": {"caption": "Picture", "gpt4_ans": "Reference (first grade)"},
}
"""Columns that a judge grades by, and a person has to see as well; the title that a sheet gives them."""


@dataclass(frozen=True)
class Asked:
    """A sample that the judge was asked about.

    ``verdict`` is in the form of labels (``audit.judge_labels``); None where there is none, and ``rule`` says why.
    """

    index: str
    kind: Kind
    question: str
    options: Mapping[str, str]
    prediction: str
    verdict: str | None
    rule: str


class Told(NamedTuple):
    """A sample in a protocol: the answer that counts, who found it, and how right it is (None: it does not count)."""

    answer: str | None
    found: bool
    rule: str
    by_judge: bool
    hit: float | None

    @property
    def decided(self) -> bool:
        """Return whether the judge's verdict is the answer."""
        return self.found and self.by_judge


@dataclass(frozen=True)
class Judged:
    """A judged result.

    Attributes:
        model: Whose answers.
        spec: How they are scored, and who judged.
        asked: The samples that the judge was asked about by index, in the benchmark's order.
        protocols: Protocol → index → what it came to, for all samples.
        about: Who judged and how, as the judge stage says it.
        inputs: File, relative to the work directory → SHA-256.
    """

    model: str
    spec: ScoringSpec
    asked: Mapping[str, Asked]
    protocols: Mapping[str, Mapping[str, Told]]
    about: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def decided(self) -> dict[str, Asked]:
        """Return the samples about which the judge gave a verdict."""
        return {index: one for index, one in self.asked.items() if one.verdict is not None}

    @property
    def left_out(self) -> dict[str, int]:
        """Return why samples that the judge was asked about have no verdict → how many."""
        return dict(Counter(one.rule for one in self.asked.values() if one.verdict is None))


@dataclass(frozen=True)
class Files:
    """Where a judged result lies, relative to the work directory."""

    samples: str
    predictions: str
    judgements: str
    judged: str


def judged_files(model: str, dataset: str, judge: str, data_dir: str) -> Files:
    """Return where a judged result's questions, predictions, verdicts and judged rows are."""
    return Files(
        paths.samples(paths.parse_dataset(dataset).base, data_dir),
        paths.predictions(model, dataset),
        paths.judgements(model, dataset, judge),
        paths.judged(model, dataset, judge),
    )


def read_judged(model: str, spec: ScoringSpec, work_dir: Path, data_dir: str) -> Judged:
    """Return what the spec's judge decided about a model's answers.

    Raises VlmakeError for files that are missing, damaged or of different predictions, and where rules stood in.
    """
    files = judged_files(model, spec.dataset, spec.judge, data_dir)
    inputs = {}
    for file in vars(files).values():
        if not (work_dir / file).is_file():
            command = f"`vlmake run --model {model} --data {spec.dataset} --judge {spec.judge}`"
            raise VlmakeError(f"{work_dir / file} is not there; {command} makes it")
        inputs[file] = file_digest(work_dir / file)
    predictions, judgements, judged = (work_dir / file for file in (files.predictions, files.judgements, files.judged))
    if not predictions.stat().st_mtime_ns <= judgements.stat().st_mtime_ns <= judged.stat().st_mtime_ns:
        raise VlmakeError(f"{judged} is older than what it rests on; score it again")
    verdicts = read_judgements(judgements)
    if verdicts.fallback is not None:
        raise VlmakeError(f"{judgements}: the judge did not answer, and rules alone have scored: {verdicts.fallback}")
    asked = _asked(work_dir / files.samples, predictions, verdicts, spec)
    return Judged(model, spec, asked, _protocols(judged), verdicts.about, inputs)


def _asked(samples: Path, predictions: Path, verdicts: Judgements, spec: ScoringSpec) -> dict[str, Asked]:
    texts = _texts(predictions)
    frame = read_samples(samples, spec.dataset).astype(object)
    rows = {str(row["index"]): row for row in frame.where(frame.notna(), None).to_dict("records")}
    asked = {}
    for index, verdict in verdicts.rows.items():
        text = texts.get(index)
        if index not in rows or text is None:
            raise VlmakeError(f"{predictions}: index '{index}' is not there, but was judged; judge it again")
        asked[index] = _one(index, {str(name): cell for name, cell in rows[index].items()}, text, verdict, spec.judging)
    return asked


def _texts(predictions: Path) -> dict[str, str | None]:
    """Return what was predicted by index, of several generations the first."""
    rows = read_predictions(predictions)[0].to_dict("records")
    return {str(row["index"]): row["prediction"] for row in rows if not row.get("repeat")}


def _one(index: str, row: Mapping[str, Any], text: str, verdict: Mapping[str, Any], judging: str) -> Asked:
    kind = kind_of(judging, row)
    said = verdict["verdict"]
    shown = [row.get("hint"), row.get("question")]
    shown += [f"{title}: {row[name]}" for name, title in _CONTEXT.get(judging, {}).items() if row.get(name)]
    return Asked(
        index,
        kind,
        "\n\n".join(str(part) for part in shown if part),
        options_of(judging, row) if kind == "choice" else {},
        text,
        None if said is None else category(said, kind),
        verdict["rule"],
    )


def _protocols(judged: Path) -> dict[str, dict[str, Told]]:
    try:
        rows = pq.read_table(judged).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{judged} is damaged ({error}); delete it and make it again") from None
    found: dict[str, dict[str, Told]] = {protocol: {} for protocol in PROTOCOLS}
    for row in rows:
        is_found = row["extraction_status"] == "found"
        told = Told(row["extracted"], is_found, row["rule"], row["judge"] is not None, row["hit"])
        found[row["protocol"]][row["index"]] = told
    return found


def hits_of(
    labels: Mapping[str, str], result: Judged, work_dir: Path, data_dir: str
) -> dict[str, dict[str, float | None]]:
    """Return protocol → index → how right a response is if what a person said of it were the judge's verdict.

    The labels take the verdicts' place and everything is scored as ever, so every metric's own rules hold.

    Args:
        labels: Index → label, as ``audit.judge_labels.parse`` returns it.
        result: What the judge decided.
        work_dir: Where the result lies.
        data_dir: Where the decoded benchmarks lie, relative to it.
    """
    spec = result.spec
    files = judged_files(result.model, spec.dataset, spec.judge, data_dir)
    verdicts = {index: {"verdict": as_verdict(label), "rule": "judge"} for index, label in labels.items()}
    scored = score(
        read_samples(work_dir / files.samples, spec.dataset),
        read_predictions(work_dir / files.predictions)[0],
        spec,
        Judgements(verdicts),
    ).judged
    scored = scored[scored["index"].isin(set(labels))]
    found: dict[str, dict[str, float | None]] = {protocol: {} for protocol in PROTOCOLS}
    for protocol, index, hit in zip(scored["protocol"], scored["index"], scored["hit"], strict=True):
        found[protocol][index] = None if hit != hit else float(hit)  # NaN
    return found
