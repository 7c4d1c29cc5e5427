"""What the JSON file beside a sheet has to hold for the sheet to be scored."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vlmake.extract.answer import PROTOCOLS
from vlmake.registry.tasks import Task


class _Part(BaseModel):
    """A part of the file; what else it says is for people."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Stratum(_Part):
    rows: int = Field(ge=1)


class _Population(_Part):
    rows: int = Field(ge=1)
    left_out: dict[str, int]


class _Row(_Part):
    sample: str
    model: str
    dataset: str
    index: str
    options: list[str]
    stratum: int = Field(ge=0)
    prediction_sha256: str


class _Reading(_Part):
    answer: str | None
    category: str
    rule: str
    span: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    text: str | None

    @model_validator(mode="after")
    def _text_has_a_place(self) -> Self:
        if self.text is not None and self.span is None:
            raise ValueError("a text without its span")
        return self


class _RulesRow(_Row):
    task: Task
    weight: float
    readings: dict[str, _Reading]


class _JudgedRow(_Row):
    kind: Literal["choice", "yes_no", "text", "grade", "grades"]
    verdict: str


class _Record(_Part):
    population: _Population
    strata: list[_Stratum]
    inputs: dict[str, str]


class _RulesRecord(_Record):
    rows: list[_RulesRow]


class _Scoring(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    task: Task
    metric: str
    judging: str


class _JudgedRecord(_Record):
    judge: str
    model: str
    dataset: str
    scoring: _Scoring
    about: dict[str, Any]
    rows: list[_JudgedRow]


def fault_in(content: Mapping[str, Any]) -> str:
    """Return, on one line, what a sheet's file lacks to be scored; empty where it lacks nothing."""
    kind = _JudgedRecord if "judge" in content else _RulesRecord
    try:
        record = kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    for number, row in enumerate(record.rows):
        if row.stratum >= len(record.strata):
            return f"rows.{number}.stratum: there is no stratum {row.stratum}"
        if isinstance(row, _RulesRow) and (missing := [name for name in PROTOCOLS if name not in row.readings]):
            return f"rows.{number}.readings: '{missing[0]}' is not there"
    return ""
