"""Score files as typed values: what summary, terminal table and report page read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vlmake import paths
from vlmake.errors import VlmakeError, counted
from vlmake.inference.statuses import STATUSES

FRACTION_PLACES = 4
PLACES = 2
ABSENT = "–"
_MISSING_SHOWN = 4  # categories without rows that are named

Cell = float | int | str | None


class _Part(BaseModel):
    """A part of a score file; keys that a later version adds are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, strict=True)


class Overall(_Part):
    """The one number a benchmark is known by."""

    name: str | None = None
    value: float | None = None
    n: int | None = None


class Accuracy(_Part):
    """Share of hits (0 to 1) with its interval."""

    value: float | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None


class Extraction(_Part):
    """How many answers were found in the texts."""

    found: int = 0
    unresolved: int = 0
    judged: int = 0


class Table(_Part):
    """Numbers as a benchmark lists them."""

    columns: list[str]
    rows: list[list[Cell]]

    @field_validator("rows")
    @classmethod
    def _rows_fit(cls, rows: list[list[Cell]], info: Any) -> list[list[Cell]]:
        width = len(info.data.get("columns", []))
        for number, row in enumerate(rows):
            if len(row) != width:
                raise ValueError(f"row {number} has {counted(len(row), 'cell')} for {counted(width, 'column')}")
        return rows

    def label_columns(self) -> list[int]:
        """Return the places of the columns that name a row, such as ``split``: those that hold text."""
        return [place for place in range(len(self.columns)) if any(isinstance(row[place], str) for row in self.rows)]


class ProtocolScore(Table):
    """One protocol's table and what stands around it; ``bounds``: accuracy if all open answers were wrong, or right."""

    overall: Overall = Overall()
    accuracy: Accuracy | None = None
    bounds: list[float | None] | None = None
    extraction: Extraction = Extraction()
    more: dict[str, Table] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    """Categories that the benchmark's table has and no row of the data."""

    @model_validator(mode="before")
    @classmethod
    def _gather_more(cls, content: Any) -> Any:
        """Put further tables, which the file names beside the known keys, into ``more``."""
        if not isinstance(content, dict):
            return content
        further = {key: value for key, value in content.items() if key not in cls.model_fields}
        tables = {key: value for key, value in further.items() if isinstance(value, dict) and "rows" in value}
        return {**content, "more": tables}


class Samples(_Part):
    """How many samples there are, and how the model's answers came out."""

    total: int
    no_image: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)


class SelfAgreement(_Part):
    """How often a judge was asked twice about a sample, and gave the same verdict."""

    asked: int
    equal: int


class Judging(_Part):
    """Who judged what rules left open, and what that took."""

    judge: str = ""
    identity: str = ""
    wording: str = ""
    open: int = 0
    asked: int = 0
    found: int = 0
    none: int = 0
    unresolved: int = 0
    judge_error: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    self_agreement: SelfAgreement | None = None
    fallback: str | None = None
    """Why rules stood in for the judge, where they did."""


class _FileContent(_Part):
    """What the file itself says, without the names that its place gives it."""

    metric: str
    protocol: str
    judge: str | None = None
    judging: Judging = Judging()
    protocols: dict[str, ProtocolScore]
    samples: Samples
    parts: list[str] = Field(default_factory=list)
    """The benchmarks whose scores were stacked into this one."""
    notes: list[str] = Field(default_factory=list)
    """Lines about the predictions, such as what an imported file had lost of them."""
    provenance: Any = None


class Score(_FileContent):
    """One score file, with the names that its place gives it."""

    model: str
    dataset: str
    judged_by: str = ""
    """The judge whose name the file bears; empty where rules alone have scored."""

    @property
    def shown_as(self) -> str:
        """The dataset, and who judged if anybody did."""
        return f"{self.dataset} · {self.judged_by}" if self.judged_by else self.dataset

    @property
    def configured(self) -> ProtocolScore:
        """The protocol that ``_score.csv`` shows."""
        return self.protocols[self.protocol]

    @property
    def protocol_names(self) -> list[str]:
        """All protocols, the configured one first."""
        return [self.protocol, *(name for name in self.protocols if name != self.protocol)]

    @property
    def unresolved(self) -> int:
        """Samples in whose answer the configured protocol found nothing."""
        return self.configured.extraction.unresolved

    def trouble(self) -> dict[str, int]:
        """Return the counts, above zero, of all that is not an answer with something found in it."""
        counts = status_counts([self]) | {"unresolved": self.unresolved}
        return {name: count for name, count in counts.items() if count and name != STATUSES[0]}


def read_score(work_dir: Path, model: str, dataset: str, judge: str = "") -> Score:
    """Return a score, a judge's where one is named.

    Raises VlmakeError, naming the file, when it is absent, broken or of another shape.
    """
    file = paths.score_json(model, dataset, judge)
    try:
        score = _FileContent.model_validate_json((work_dir / file).read_bytes())
    except OSError as error:
        raise VlmakeError(f"cannot read {file}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise VlmakeError(f"{file} is no score file: {f'{where}: ' if where else ''}{fault['msg']}") from None
    if score.protocol not in score.protocols:
        raise VlmakeError(f"{file} is no score file: protocol '{score.protocol}' has no numbers in it")
    # Where the file lies is what it is called; a copy under another name must not pass for the original.
    return Score(
        **{name: getattr(score, name) for name in _FileContent.model_fields},
        model=model,
        dataset=dataset,
        judged_by=judge,
    )


def read_scores(work_dir: Path, names: Iterable[tuple[str, ...]]) -> tuple[list[Score], list[str]]:
    """Return the readable scores and one line for each that is not."""
    scores, broken = [], []
    for name in names:
        try:
            scores.append(read_score(work_dir, *name))
        except VlmakeError as error:
            broken.append(str(error))
    return scores, broken


def status_counts(scores: Iterable[Score]) -> dict[str, int]:
    """Return how many samples have each status, over all scores; unknown statuses come after the known ones."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for score in scores:
        for name, count in score.samples.by_status.items():
            counts[name] = counts.get(name, 0) + count
    return counts


def places(metric: str, scores: Iterable[Table]) -> int:
    """Return the decimal places for a benchmark's numbers: more for fractions, as choice tables have them."""
    values = [
        cell for score in scores for row in score.rows for cell in row if isinstance(cell, int | float)
    ]  # fmt: skip
    fractions = values and max(values) <= 1 and min(values) >= 0 and any(0 < value < 1 for value in values)
    return FRACTION_PLACES if metric.startswith("choice") or fractions else PLACES


def number(value: Cell, decimals: int = PLACES) -> str:
    """Return a table's cell as text: whole numbers as they are, null as a dash."""
    if value is None:
        return ABSENT
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, without the sign."""
    return ABSENT if value is None else f"{100 * value:.1f}"


def judge_line(score: Score) -> str:
    """Say who judged how many samples, and how that went; nothing where nobody did."""
    judging = score.judging
    if not score.judged_by:
        return ""
    if judging.fallback is not None and not judging.asked:
        return f"judge {score.judged_by} did not answer, rules alone have scored: {judging.fallback}"
    decided = score.configured.extraction.judged
    line = f"judge {score.judged_by} decided {decided} of {counted(score.samples.total, 'sample')}"
    more = {"none of the answers": judging.none, "unresolved": judging.unresolved, "judge_error": judging.judge_error}
    line += "".join(f", {count} {name}" for name, count in more.items() if count)
    if (twice := judging.self_agreement) is not None:
        line += f"; asked twice it agreed with itself on {twice.equal} of {twice.asked}"
    line += f"; cost {judging.cost:.4f}" if judging.cost is not None else ""
    return line + (f"; {judging.fallback}" if judging.fallback is not None else "")  # in some of its parts


def missing_line(missing: Sequence[str]) -> str:
    """Say which categories of the benchmark have no rows: ``no rows in 2 categories: artwork, celebrity``."""
    shown = ", ".join(missing[:_MISSING_SHOWN]) + (", …" if len(missing) > _MISSING_SHOWN else "")
    return f"no rows in {counted(len(missing), 'category', 'categories')}: {shown}"


def trouble_line(trouble: Mapping[str, int], total: int) -> str:
    """Say what went wrong with how many samples: ``3 of 440 samples unresolved; 1 bad_image``."""
    counts = sorted(trouble.items(), key=lambda item: item[0] != "unresolved")
    words = [f"{count} {name}" for name, count in counts]
    words[0] = f"{counts[0][1]} of {counted(total, 'sample')} {counts[0][0]}"
    return "; ".join(words)
