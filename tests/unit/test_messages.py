"""What messages say of counts and of names that are not known: one wording everywhere."""

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from vlmake.errors import VlmakeError, counted
from vlmake.metrics.registry import metric_entry
from vlmake.submissions.registry import submission_entry
from vlmake.tables.predictions_io import read_predictions

# A count in braces with its noun behind it: right for every number but one.
COUNT_AND_NOUN = re.compile(
    r"\{len\([^{}]*\)\} (?:samples|rows|cells|columns|prompts|tensors|parts|images|devices|tokens|faults|findings"
    r"|strata|characters)\b"
)
BOTH_NUMBERS = re.compile(r"[\"'][^\"'\n]* [a-z]+(?<!http)\(s\)")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (counted(0, "row"), "0 rows"),
        (counted(1, "row"), "1 row"),
        (counted(2, "row"), "2 rows"),
        (counted(1200, "row"), "1,200 rows"),
        (counted(1, "category", "categories"), "1 category"),
        (counted(9, "category", "categories"), "9 categories"),
    ],
)
def test_a_count_takes_its_noun_in_the_right_number(said: str, expected: str) -> None:
    assert said == expected


def test_no_message_is_worded_for_several_only() -> None:
    files = [*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "workflow").rglob("*.py")]
    assert len(files) > 100
    found = [
        f"{file.relative_to(REPOSITORY)}: {match[0]}"
        for file in files
        for pattern in (COUNT_AND_NOUN, BOTH_NUMBERS)
        for match in pattern.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_what_is_known_stands_apart_from_the_question(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("index,predictio\n0,Yes\n", encoding="utf-8")
    for ask, expected in (
        (lambda: metric_entry("mmee"), r"unknown metric 'mmee'; did you mean 'mme'\? \(known: mme, "),
        (lambda: submission_entry("docvqqa"), r"; did you mean 'docvqa'\? \(known: "),
        (lambda: read_predictions(tmp_path / "p.csv"), r"; did you mean 'predictio'\? \(there is: index, predictio\)$"),
    ):
        with pytest.raises(VlmakeError, match=expected):
            ask()
