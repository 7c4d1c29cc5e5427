"""The TSV reader against csv.reader, pandas and files that are damaged."""

import csv
import hashlib
import io
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlmake.data import tsv
from vlmake.data.tsv import Cell, TsvReader
from vlmake.errors import VlmakeError

REPOSITORY = Path(__file__).parents[2]
NASTY = st.text(st.sampled_from(["a", '"', "\t", "\n", "é", " ", "'", "\\", "😀", ",", "\u2028", "N"]), max_size=8)
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
CELL = st.one_of(NASTY, ANY, st.sampled_from(["", "NA", "None", "nan", "007", "=1+1", "1e5", " x ", "True"]))
TABLE = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6))


def read(path: Path, **options: object) -> tuple[list[str], list[list[Cell]]]:
    with TsvReader(path, **options) as table:  # type: ignore[arg-type]
        return table.header, [row.cells for row in table]


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    return path


def as_text(rows: list[list[Cell]]) -> list[list[str]]:
    return [["" if cell is None else str(cell) for cell in row] for row in rows]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLE, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), end=st.sampled_from(["\n", "\r\n"]))
def test_equals_what_csv_and_pandas_read(tmp_path: Path, rows: list[list[str]], quoting: int, end: str) -> None:
    header = [f"c{place}" for place in range(len(rows[0]) if rows else 2)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t", quoting=quoting, lineterminator=end).writerows([header, *rows])
    path = write(tmp_path, text.getvalue().encode())
    names, found = read(path)
    assert names == header
    assert as_text(found) == list(csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter="\t"))[1:]
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    assert as_text(found) == frame.to_numpy().tolist()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text(st.sampled_from(["a", "b", '"', "\t", "\n", " "]), max_size=40))
def test_equals_csv_on_text_that_no_writer_wrote(tmp_path: Path, body: str) -> None:
    """Stray quotes, quotes in the middle, text behind a closing quote; or an error where csv gives another width."""
    path = write(tmp_path, f"x\ty\n{body}".encode())
    expected = [row for row in csv.reader(io.StringIO(body, newline=""), delimiter="\t") if row]
    try:
        _, found = read(path)
    except VlmakeError as error:
        unterminated = "never closed" in str(error)
        assert unterminated or any(len(row) != 2 for row in expected)
    else:
        assert as_text(found) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.one_of(st.none(), CELL), CELL), min_size=1, max_size=5))
def test_a_frame_written_by_pandas_comes_back(tmp_path: Path, rows: list[tuple[str | None, str]]) -> None:
    path = tmp_path / "t.tsv"
    pd.DataFrame(rows, columns=["a", "b"], dtype=object).to_csv(path, sep="\t", index=False, lineterminator="\n")
    # pandas writes an empty text without quotes where the row has other cells: it comes back as a null.
    assert read(path)[1] == [[a or None, b or None] for a, b in rows]


def test_text_stays_and_nulls_are_null(tmp_path: Path) -> None:
    path = write(tmp_path, b'a\tb\tc\nNA\t007\t=1+1\n\t""\tNone\n"x\ty"\t"say ""hi"""\t"two\nlines"\n')
    with TsvReader(path) as table:
        rows = list(table)
    assert [row.cells for row in rows] == [
        ["NA", "007", "=1+1"],
        [None, "", "None"],
        ["x\ty", 'say "hi"', "two\nlines"],
    ]
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_byte_order_marks(tmp_path: Path, end: bytes, bom: bytes, last: bool) -> None:
    content = bom + end.join([b"index\tq", b"1\t", b"", b'2\t"a\r\nb"', b"3\tc\rd"]) + (end if last else b"")
    assert read(write(tmp_path, content)) == (["index", "q"], [["1", None], ["2", "a\r\nb"], ["3", "c\rd"]])


def test_a_byte_order_mark_before_a_quoted_name(tmp_path: Path) -> None:
    assert read(write(tmp_path, b'\xef\xbb\xbf"in\tdex"\tq\n1\t2\n'))[0] == ["in\tdex", "q"]


def test_columns_as_bytes_are_not_decoded(tmp_path: Path) -> None:
    path = write(tmp_path, b'image\tq\n\xff\xfe\tx\n"a""b"\ty\n\tz\n')
    assert read(path, as_bytes={"image"})[1] == [[b"\xff\xfe", "x"], [b'a"b', "y"], [None, "z"]]


def test_the_file_is_hashed_while_it_is_read(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa\tb\r\n1\t"x\n\ny"\r\n\r\n2\t3'
    path = write(tmp_path, content)
    with TsvReader(path, hashes=("md5", "sha256")) as table:
        with pytest.raises(ValueError, match="after the last row"):
            table.hexdigest("md5")
        assert len(list(table)) == 2
        assert table.size == len(content)
        assert table.hexdigest("md5") == hashlib.md5(content).hexdigest()
        assert table.hexdigest("sha256") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no header"),
        (b"\xef\xbb\xbf", "no header"),
        (b"\n1\t2\n", "no header"),
        ("a\tb\n".encode("utf-16"), "UTF-16"),
        (b"a\t\n1\t2\n", "column 2 has no name"),
        (b"a\tb\ta\n", "columns 1 and 3 are both called 'a'"),
        (b"a\t\xff\n", "the name of column 2 is not UTF-8"),
        (b'a\t"b\n1\t2\n', "header: a quote is opened and never closed"),
        (b"a\tb\n1\t2\n3\n", "row 2 (line 3) has 1 cell and the header 2"),
        (b'a\tb\n"1\n\n"\t2\n3\t4\t5\n', "row 2 (line 5) has 3 cells and the header 2"),
        (b'a\tb\n1\t2\n3\t"4\n5\t6\n', "row 2 (line 3): a quote is opened and never closed"),
        (b"a\tb\n1\t2\n3\tx\xe9y\n", "row 2 (line 3), column 'b': not UTF-8 text at byte 1"),
        (b"a\tb\n1\t\xed\xa0\x80\n", "row 1 (line 2), column 'b': not UTF-8"),
        (b"a\tb\n1\t2\n3\t4\0\n", "line 3 (after row 1) holds a NUL byte"),
    ],
)
def test_damage_is_named_with_file_and_row(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(VlmakeError) as caught:
        read(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\tb\n1\t" + b"x" * 1000 + b"\n", "line 2 (after row 0) goes on for more than 1,000 bytes"),
        (
            b'a\tb\n1\t2\n3\t"' + b"line\n" * 300 + b'"\n',
            "row 2 (line 3): a quote is opened and not closed within 1,000",
        ),
        (b"\t".join(b"%d" % number for number in range(60)) + b"\n", "header: 60 columns are more than 50"),
        (b"x" * 200 + b"\t" + b"x" * 200 + b"\n", "are both called '" + "x" * 79 + "…'"),
    ],
)
def test_what_no_table_has_is_refused_before_it_fills_the_memory(
    tmp_path: Path, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tsv, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(tsv, "MAX_COLUMNS", 50)
    path = write(tmp_path, content)
    with pytest.raises(VlmakeError) as caught:
        read(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_an_open_quote_does_not_draw_the_file_into_memory(tmp_path: Path) -> None:
    """The file is sparse: 4 GB of NULs would be read before any row ends, were there no limit."""
    path = write(tmp_path, b'index\timage\n1\t"')
    with path.open("r+b") as file:
        file.truncate(4 << 30)
    with pytest.raises(VlmakeError, match=r"line 2 \(after row 0\) goes on for more than"):
        read(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda rest: b"a\tb\n" + rest)))
def test_any_bytes_give_rows_or_a_typed_error(tmp_path: Path, content: bytes) -> None:
    try:
        header, rows = read(write(tmp_path, content))
    except VlmakeError:
        return
    assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("name", ["missing.tsv", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(VlmakeError, match="cannot read"):
        TsvReader(tmp_path / name)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    with path.open("wb") as file:
        file.write(b"index\timage\n")
        for number in range(100):
            file.write(b"%d\t%s\n" % (number, b"A" * 1_000_000))
    code = (
        "import re, sys; from pathlib import Path; from vlmake.data.tsv import TsvReader\n"
        "peak = lambda: int(re.search(r'VmHWM:[^0-9]*([0-9]+)', Path('/proc/self/status').read_text())[1])  # kB\n"
        "before = peak()\n"
        "rows = sum(len(row.cells[1]) for row in TsvReader(Path(sys.argv[1]), as_bytes={'image'}))\n"
        "print(rows, peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    size, grown = map(int, done.stdout.split())
    assert size == 100_000_000 and grown < 20_000  # kilobytes


def test_a_cell_of_many_quoted_lines_takes_linear_time(tmp_path: Path) -> None:
    path = write(tmp_path, b'a\tb\n1\t"' + b'line ""x""\n' * 200_000 + b'"\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    [[_, text]] = read(path)[1]
    assert text == 'line "x"\n' * 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5
