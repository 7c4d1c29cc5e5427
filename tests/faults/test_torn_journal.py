"""A journal cut at any byte, or with rubbish in it, costs at most the record it hit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Workplace
from vlmake.inference.journal import JournalWriter, Prediction, parse_line, read_journal

BLANK = Prediction(
    key="",
    index="0",
    repeat=0,
    prediction="Yes, 是 \N{GRINNING FACE} \u2028 \x00 tail",
    thinking=None,
    status="ok",
    finish_reason="stop",
    prompt_tokens=7,
    completion_tokens=2,
    error=None,
    seconds=0.25,
    epoch=0,
)


def write(folder: Path, count: int) -> list[Prediction]:
    items = [replace(BLANK, key=f"key{number}", index=str(number)) for number in range(count)]
    writer = JournalWriter(folder)
    writer.append(items[:1])
    writer.append(items[1:])
    writer.close()
    return items


def test_torn_last_line_at_every_byte(tmp_path: Path) -> None:
    items = write(tmp_path, 3)
    (file,) = tmp_path.glob("*.jsonl")
    content = file.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(content) + 1):
        file.write_bytes(content[:cut])
        found = read_journal(tmp_path, [item.key for item in items])
        whole = cut >= len(content) - 1  # only the line's end is missing: the record itself is there
        assert found == {item.key: item for item in (items if whole else items[:2])}, cut


@pytest.mark.parametrize(
    "rubbish",
    [b"\x00" * 40, b"{}", b"[1]", b"null", b'{"key": "key0"}', b"\xff\xfe", b'"key0"', b"{" * 5000, b"[" * 200_000],
)
def test_rubbish_lines_are_passed_over(tmp_path: Path, rubbish: bytes) -> None:
    items = write(tmp_path, 2)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(rubbish + b"\n" + file.read_bytes() + rubbish + b"\n")
    assert read_journal(tmp_path, ["key0", "key1"]) == {item.key: item for item in items}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "splendid"),
        ("index", 3),
        ("prediction", 4),
        ("prompt_tokens", "7"),
        ("seconds", "fast"),
        ("key", None),
    ],
)
def test_record_of_another_shape_is_passed_over(name: str, value: object, tmp_path: Path) -> None:
    write(tmp_path, 1)
    (file,) = tmp_path.glob("*.jsonl")
    values = json.loads(file.read_text(encoding="ascii"))
    assert parse_line(json.dumps(values).encode()) is not None
    assert parse_line(json.dumps(values | {name: value}).encode()) is None


def test_run_goes_on_from_a_torn_journal(workplace: Workplace) -> None:
    assert workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini").code == 0
    predictions = workplace.result("TinyVLM", "Mini_predictions.parquet")
    before = predictions.read_bytes()
    (journal,) = workplace.result("TinyVLM", "Mini/journal").glob("*.jsonl")
    journal.write_bytes(journal.read_bytes()[:-40])
    predictions.unlink()
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini", "--mode", "infer")
    assert ran.code == 0, ran.output
    assert predictions.read_bytes() == before
    assert len([line for line in workplace.journal_lines("TinyVLM", "Mini") if parse_line(line.encode())]) == 24
