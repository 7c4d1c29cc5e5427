"""What cannot be audited, and files beside a sheet that are not as they were written: one line each."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_audit_judges import OPEN, audit, done, fill, put, refused
from vlmake.errors import VlmakeError


def test_a_benchmark_of_parts_is_audited_part_by_part(tmp_path: Path) -> None:
    named = ("--model", "TinyVLM", "--data", "MMMB", "--work-dir", tmp_path)
    put(tmp_path, {"one": {"0": "B"}}, [OPEN.format(0)], dataset="MMMB_ar")
    for words in (
        ("draw", *named, "--out", tmp_path / "s.csv"),
        ("draw", *named, "--out", tmp_path / "s.csv", "--judge", "one"),
        ("compare", *named, "--judge", "one"),
    ):
        assert "dataset 'MMMB' is made of parts, and its samples are theirs: name one of MMMB_ar, " in refused(*words)


@pytest.mark.parametrize("of_a_judge", [True, False])
def test_a_sheets_file_that_lacks_anything_is_refused_in_one_line(tmp_path: Path, of_a_judge: bool) -> None:
    put(tmp_path, {"one": {"0": "B", "1": "C"}}, [OPEN.format(0), OPEN.format(1)])
    named = ("--model", "TinyVLM", "--data", "MMStar", "--work-dir", tmp_path)
    done("draw", *named, "--out", tmp_path / "sheet.csv", *(("--judge", "one") if of_a_judge else ()))
    sheet = fill(tmp_path / "sheet.csv", {"0": "B", "1": "B"})
    file = sheet.with_suffix(".json")
    whole = json.loads(file.read_text("utf-8"))
    done("score", sheet, "--work-dir", tmp_path)
    for change in changes(whole):
        file.write_text(json.dumps(change), encoding="utf-8")
        result = audit("score", sheet, "--work-dir", tmp_path)
        if result.exit_code:
            assert isinstance(result.exception, VlmakeError), (change, repr(result.exception))
            assert "\n" not in str(result.exception)
    if of_a_judge:
        file.write_text(json.dumps({name: value for name, value in whole.items() if name != "judge"}), encoding="utf-8")
        line = refused("score", sheet, "--work-dir", tmp_path)
        assert line.startswith(f"{file} is not as `vlmake audit draw` wrote it (rows.0.task: Field required)")


def changes(value: object) -> Iterator[object]:
    """The value with any one thing in it left out, or of another kind."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield {key: other for key, other in value.items() if key != name}
            yield from ({**value, name: changed} for changed in (None, [], *changes(held)))
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield from ([*value[:place], changed, *value[place + 1 :]] for changed in (None, *changes(held)))
