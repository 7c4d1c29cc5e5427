"""From a TSV to samples and images: every form an image cell takes, and what is wrong with files people have."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vlmake.data import decode as decode_module
from vlmake.data import row_images
from vlmake.data.decode import Decoded, decode
from vlmake.data.image_cells import MAX_FILE_BYTES, read_inside
from vlmake.data.images import POLICY, ImageStore, open_rgb
from vlmake.data.literals import list_items
from vlmake.errors import VlmakeError

REPOSITORY = Path(__file__).parents[2]


def picture(colour: str, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (12, 10), colour).save(buffer, kind)
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


RED, BLUE, LIME = picture("red"), picture("blue", "JPEG"), picture("lime", "WEBP")
HTML = b"<!DOCTYPE html><html><head><title>not a picture</title></head></html>"


class Bench:
    """A folder with a TSV, the root of its image files, and the two files that decode makes."""

    def __init__(self, folder: Path) -> None:
        self.tsv = folder / "X.tsv"
        self.root = folder / "images" / "X"
        self.root.mkdir(parents=True)
        self.samples = folder / "out" / "samples.parquet"
        self.images = folder / "out" / "images.arrow"
        self.done: Decoded | None = None

    def write(self, header: str, rows: Sequence[Sequence[str]]) -> None:
        self.tsv.write_text("\n".join(["\t".join(header.split()), *("\t".join(row) for row in rows)]) + "\n")

    def source(self) -> dict[str, Any]:
        content = self.tsv.read_bytes()
        return {"sha256": digest(content), "size": len(content)}

    def decode(self, source: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        self.done = decode(self.tsv, source or self.source(), self.root, self.samples, self.images)
        rows: list[dict[str, Any]] = pq.read_table(self.samples).to_pylist()
        return rows

    def fails(self, words: str) -> None:
        with pytest.raises(VlmakeError) as caught:
            self.decode()
        assert words in str(caught.value) and str(self.tsv) in str(caught.value)
        assert not list(self.samples.parent.iterdir()), "a failed decode left something"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_rows_images_and_metadata(bench: Bench) -> None:
    bench.write(
        "index image question answer",
        [["0", b64(RED), "NA", "007"], ["x1", b64(BLUE), '""', ""], ["2", b64(RED), '"a\tb\n""c"""', "None"]],
    )
    rows = bench.decode()
    assert [(row["index"], row["question"], row["answer"]) for row in rows] == [
        ("0", "NA", "007"),
        ("x1", "", None),
        ("2", 'a\tb\n"c"', "None"),
    ]
    assert [row["images"] for row in rows] == [[digest(RED)], [digest(BLUE)], [digest(RED)]]
    assert [row["group"] for row in rows] == [digest(RED), digest(BLUE), digest(RED)]
    assert [row["image_error"] for row in rows] == [None] * 3
    schema = pq.read_schema(bench.samples)
    assert [(field.name, field.type) for field in schema][:4] == [
        ("index", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("images", pa.list_(pa.string())),
    ]
    source = bench.source()
    assert json.loads(schema.metadata[b"vlmake"]) == {
        "rows": 3,
        "images": 2,
        "turned_images": 0,
        "tsv_sha256": source["sha256"],
        "tsv_bytes": source["size"],
        "embedded": True,
        "exif_orientation": "ignored",
        "rgb": POLICY["rgb"],
    }
    with ImageStore(bench.images) as store:
        assert {key: store.bytes(key) for key in store} == {digest(RED): RED, digest(BLUE): BLUE}
    assert bench.done == Decoded(3, 2, 0, None)


@pytest.mark.parametrize(
    "cell",
    [
        f"['{b64(RED)}', '{b64(BLUE)}']",
        f'"[""{b64(RED)}"", ""{b64(BLUE)}""]"',
        f"""['{b64(RED)}',"{b64(BLUE)}"]""",
        f"[ '{b64(RED)}' , '{b64(BLUE)}', ]",
        f'"{[base64.encodebytes(RED).decode(), b64(BLUE)]!s}"',
        '"' + json.dumps([b64(RED), b64(BLUE)]).replace("/", "\\/").replace('"', '""') + '"',
    ],
)
def test_lists_of_images(bench: Bench, cell: str) -> None:
    bench.write("index image", [["1", cell], ["2", b64(RED)], ["3", b64(BLUE)]])
    rows = bench.decode()
    assert rows[0]["images"] == [digest(RED), digest(BLUE)] and rows[0]["image_error"] is None
    assert rows[0]["group"] == rows[1]["group"] != rows[2]["group"]


@pytest.mark.parametrize(
    "cell",
    [
        "[__import__('os').system('false'), 1, 2, 3, 4, 5, 6, 7, 8, 9]",
        f"['{b64(RED)}' '{b64(BLUE)}']",
        f"['{b64(RED)}', None]",
        "['" + "A" * 90 + "]",
    ],
)
def test_what_is_no_list_is_not_evaluated(bench: Bench, cell: str) -> None:
    bench.write("index image", [["1", cell], ["2", b64(RED)]])
    rows = bench.decode()
    assert rows[0]["images"] == [] and rows[0]["image_error"] is not None
    assert rows[1]["images"] == [digest(RED)]


@settings(deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"))))
def test_lists_come_back_from_python_and_json(texts: list[str]) -> None:
    for written in (str(texts), json.dumps(texts), json.dumps(texts, ensure_ascii=False)):
        assert list_items(written) == texts


def test_white_space_in_base64_is_tolerated(bench: Bench) -> None:
    bench.write("index image", [["1", f'"{base64.encodebytes(RED).decode()}"'], ["2", f"  {b64(BLUE)} "]])
    assert [row["images"] for row in bench.decode()] == [[digest(RED)], [digest(BLUE)]]


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    Image.new("RGB", (12, 10), "teal").save(buffer, kind, exif=exif)
    return buffer.getvalue()


def test_images_that_are_not_upright_are_counted_and_left_as_they_are(bench: Bench, tmp_path: Path) -> None:
    images = [turned(6), turned(8, "PNG"), turned(3, "WEBP"), turned(1), turned(99), RED, turned(6)]
    bench.write("index image", [[str(number), b64(data)] for number, data in enumerate(images)])
    rows = bench.decode()
    assert bench.done is not None and (bench.done.images, bench.done.turned) == (6, 3)
    about = json.loads(pq.read_schema(bench.samples).metadata[b"vlmake"])
    assert (about["exif_orientation"], about["turned_images"]) == ("ignored", 3)
    with ImageStore(bench.images) as store:
        for row in rows[:3]:
            image = open_rgb(store.bytes(row["images"][0]))
            assert image.size == (12, 10) == ImageOps.exif_transpose(image).size  # nothing is left to apply later
    source = tmp_path / "source.json"
    source.write_text(json.dumps(bench.source()))
    assert run(bench, source).stderr == (
        "vlmake decode: 3 of 6 images with an EXIF orientation; models see them as they are stored, unturned\n"
    )


def test_a_name_with_half_a_letter_marks_its_row(bench: Bench) -> None:
    bench.write("index image_path", [["1", r"['\ud800.png']"]])
    assert "image_path" in bench.decode()[0]["image_error"]


def peak_megabytes(bench: Bench, rows: int) -> float:
    """Return the peak memory of a process that decodes so many rows of 140 kB of noise.

    The kernel's figure for the process's own memory: ``ru_maxrss`` of a child would begin with that of its parent.
    """
    with bench.tsv.open("w") as file:
        file.write("index\timage\tquestion\n")
        for number in range(rows):
            file.write(f"{number}\t{b64(RED + os.urandom(100_000))}\tWhat is this?\n")  # Pillow ignores what follows
    return decoding_megabytes(bench)


def decoding_megabytes(bench: Bench) -> float:
    """Return the peak memory of a process that decodes the table."""
    code = (
        "import re, sys; from pathlib import Path; from vlmake.data.decode import decode\n"
        "tsv, root, samples, images = map(Path, sys.argv[1:5])\n"
        "assert decode(tsv, {'sha256': sys.argv[5]}, root, samples, images).images >= 1\n"
        "assert 'pandas' not in sys.modules\n"
        "print(int(re.search(r'VmHWM:[^0-9]*([0-9]+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    words = [str(path) for path in (bench.tsv, bench.root, bench.samples, bench.images)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, bench.source()["sha256"]],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def test_memory_does_not_grow_with_the_file(bench: Bench) -> None:
    small, large = (peak_megabytes(bench, rows) for rows in (90, 450))  # 12 and 60 MB
    assert bench.tsv.stat().st_size > 60_000_000
    assert large < 150 and large - small < 20


def test_a_row_takes_a_few_bytes_of_memory(bench: Bench) -> None:
    def peak(rows: int) -> float:
        lines = "".join(f"{number}\t{number // 2}\tWhat is this?\n" for number in range(1, rows))
        bench.tsv.write_text(f"index\timage\tquestion\n0\t{b64(RED)}\tWhat?\n{lines}", encoding="utf-8")
        return decoding_megabytes(bench)

    assert peak(170_000) - peak(20_000) < 30, "megabytes for 150,000 rows"


@pytest.mark.parametrize("rows", [["0", "1", "7"], ["8", "1", "7"], ["0", "0", "7"]], ids=["good", "nowhere", "twice"])
def test_equal_hashes_of_indexes_change_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, rows: list[str]) -> None:
    monkeypatch.setattr(row_images, "hash", lambda text: 0, raising=False)
    target, second, third = rows
    bench.write("index image", [["0", b64(RED)], [second, b64(BLUE)], [third, target]])
    if rows == ["0", "1", "7"]:
        assert [row["images"] for row in bench.decode()] == [[digest(RED)], [digest(BLUE)], [digest(RED)]]
    else:
        bench.fails("rows 1 and 2 have the same index '0'" if second == "0" else "row 3: its image is '8'")


def test_references_go_both_ways_and_along_chains(bench: Bench) -> None:
    bench.write(
        "index image",
        [["1", "3"], ["2", "1"], ["3", b64(RED)], ["4", " 2 "], ["5", HTML_CELL], ["6", "5"], ["7", "8"], ["8", PAIR]],
    )
    rows = bench.decode()
    assert [row["images"] for row in rows[:4]] == [[digest(RED)]] * 4
    assert rows[4]["image_error"] == rows[5]["image_error"] == "not an image: an HTML page"
    assert rows[6]["images"] == rows[7]["images"] == [digest(BLUE), digest(RED)]
    assert [row["group"] for row in rows[4:6]] == ["row:5", "row:6"]


HTML_CELL = b64(HTML)
PAIR = f"['{b64(BLUE)}', '{b64(RED)}']"


def test_references_across_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "_BATCH_ROWS", 7)
    count = 100
    rows = [[str(number), str(number + 1), f"q{number}"] for number in range(count)]
    bench.write("index image question", [*rows, [str(count), b64(RED), "last"]])
    table = bench.decode()
    assert [row["question"] for row in table] == [*(f"q{number}" for number in range(count)), "last"]
    assert all(row["images"] == [digest(RED)] for row in table)
    assert pq.ParquetFile(bench.samples).num_row_groups == 15


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["1", b64(RED)], ["2", "9"]], "row 2: its image is '9', which is no row's index"),
        ([["1", "2"], ["2", "3"], ["3", "2"]], "row 2: its image refers to itself in a circle of indexes: 2 → 3 → 2"),
        ([["1", b64(RED)], ["2", "2"]], "row 2: its image refers to itself"),
        ([["1", b64(RED)], ["", b64(RED)]], "row 2 has no index"),
        ([["1", b64(RED)], ['""', b64(RED)]], "row 2 has no index"),
        ([["7", b64(RED)], ["8", "7"], ["7", b64(RED)]], "rows 1 and 3 have the same index '7'"),
        ([], "a header and no rows"),
        ([["1"]], "row 1 (line 2) has 1 cell"),
    ],
)
def test_tables_that_cannot_be_samples(bench: Bench, rows: list[list[str]], words: str) -> None:
    bench.write("index image", rows)
    bench.fails(words)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("index question", "missing column 'image'"),
        ("id image", "missing column 'index'; the columns are id, image"),
        ("index image images tsv:images", "has both 'images' and 'tsv:images'"),
    ],
)
def test_columns_that_are_missing_or_in_the_way(bench: Bench, header: str, words: str) -> None:
    bench.write(header, [["1"] * len(header.split())])
    bench.fails(words)


def test_columns_with_our_names_are_kept_under_another(bench: Bench) -> None:
    bench.write("index images image group image_error", [["1", "a", b64(RED), "b", "c"]])
    [row] = bench.decode()
    assert (row["tsv:images"], row["tsv:group"], row["tsv:image_error"]) == ("a", "b", "c")
    assert row["images"] == [digest(RED)] and row["group"] == digest(RED) and row["image_error"] is None


BROKEN = {
    "html": (b64(HTML), "not an image: an HTML page"),
    "cut base64": (b64(RED)[:-3], "broken base64"),
    "not base64": ("!" * 100, "broken base64: characters that are not base64"),
    "data url": ("data:image/png;base64," + b64(RED), "broken base64: characters"),
    "cut header": (b64(b"\x89PNG\r\n\x1a\n" + bytes(60)), "broken"),
    "in a list": (f"['{b64(RED)}', '{b64(HTML)}']", "image 2 of 2: not an image: an HTML page"),
    "none": ("", "no image"),
    "blank": ("  ", "no image"),
    "empty list": ("[]", "no image"),
    "not utf-8": ("\udcff" * 70, "broken base64"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_marks_its_rows_and_nothing_else(bench: Bench, name: str) -> None:
    cell, words = BROKEN[name]
    content = f"index\timage\nbad\t{cell}\nsame\tbad\ngood\t{b64(BLUE)}\n"
    bench.tsv.write_bytes(content.encode("utf-8", "surrogateescape"))
    rows = bench.decode()
    for row in rows[:2]:
        assert row["images"] == [] and words in row["image_error"] and row["group"] == f"row:{row['index']}"
    assert rows[2]["images"] == [digest(BLUE)] and rows[2]["image_error"] is None
    assert bench.done is not None and (bench.done.broken, bench.done.rows) == (2, 3)
    assert str(bench.done.first_broken).startswith("row 1: ")


def test_image_files(bench: Bench) -> None:
    (bench.root / "sub dir").mkdir()
    (bench.root / "sub dir" / "é'1.png").write_bytes(RED)
    (bench.root / "b.jpg").write_bytes(BLUE)
    (bench.root / "inside.jpg").symlink_to(bench.root / "b.jpg")
    bench.write(
        "index image image_path",
        [
            ["1", "", "sub dir/é'1.png"],
            ["2", "", '"' + str(["sub dir/é'1.png", "b.jpg"]).replace('"', '""') + '"'],
            ["3", "", '"' + json.dumps(["b.jpg", "sub dir/é'1.png"]).replace('"', '""') + '"'],
            ["4", "", str(bench.root / "b.jpg")],
            ["5", "", "inside.jpg"],
            ["6", "", "sub dir/../b.jpg"],
            ["7", "2", "never read"],
            ["8", b64(LIME), "b.jpg"],
        ],
    )
    rows = bench.decode()
    assert [row["image_error"] for row in rows] == [None] * 8
    red, blue = digest(RED), digest(BLUE)
    expected = [[red], [red, blue], [blue, red], [blue], [blue], [blue], [red, blue], [digest(LIME)]]
    assert [row["images"] for row in rows] == expected
    assert rows[6]["image_path"] == "never read"


def test_image_files_without_an_image_column(bench: Bench) -> None:
    (bench.root / "a.png").write_bytes(RED)
    bench.write("index image_path", [["1", "a.png"], ["2", ""]])
    rows = bench.decode()
    assert rows[0]["images"] == [digest(RED)] and rows[1]["image_error"] == "no image"


def link_out(bench: Bench) -> str:
    (bench.root / "link.png").symlink_to(bench.tsv.parent / "secret.png")
    return "link.png"


def linked_folder(bench: Bench) -> str:
    (bench.root / "up").symlink_to(bench.tsv.parent, target_is_directory=True)
    return "up/secret.png"


def circle(bench: Bench) -> str:
    (bench.root / "a").symlink_to(bench.root / "a")
    return "a"


def pipe(bench: Bench) -> str:
    os.mkfifo(bench.root / "pipe")
    return "pipe"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../../secret.png", "leads out of the image folder"),
        (lambda bench: str(bench.tsv.parent / "secret.png"), "leads out of the image folder"),
        (link_out, "leads out of the image folder"),
        (linked_folder, "leads out of the image folder"),
        ("/etc/hostname", "leads out of the image folder"),
        ("gone.png", "missing file: image_path 'gone.png'"),
        ("http://127.0.0.1:9/x.png", "missing file"),
        (".", "Is a directory"),
        (circle, "image_path 'a'"),
        (pipe, "no regular file"),
        ("x" * 3000, "image_path 'xxx"),
        (r"['a\x00b']", "image_path"),
        ("[broken, list]", "not written as a list"),
        ("['gone.png', 'gone too.png']", "image 1 of 2: missing file"),
    ],
)
def test_image_files_that_are_not_there_or_not_ours(
    bench: Bench, name: str | Callable[[Bench], str], words: str
) -> None:
    (bench.tsv.parent / "secret.png").write_bytes(LIME)
    bench.write("index image_path", [["1", name if isinstance(name, str) else name(bench)]])
    [row] = bench.decode()
    assert words in row["image_error"] and row["images"] == []
    with ImageStore(bench.images) as store:
        assert len(store) == 0


def test_a_huge_file_is_refused_unread(bench: Bench) -> None:
    with (bench.root / "huge.png").open("wb") as file:
        file.write(RED)
        file.truncate(MAX_FILE_BYTES + 1)  # a sparse file: it takes no room on the disk
    bench.write("index image_path", [["1", "huge.png"]])
    [row] = bench.decode()
    assert row["image_error"] == f"image_path 'huge.png' is a file of {MAX_FILE_BYTES + 1:,} bytes: more than" + (
        f" {MAX_FILE_BYTES:,} are not read"
    )
    with (bench.root / "huge.png").open("r+b") as file:
        file.truncate(1 << 20)
    [row] = bench.decode()
    assert row["image_error"] is None, "bytes behind an image are no fault"


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.sampled_from(["..", ".", "in", "out", "link", "", "~", "secret.png", "a.png"]), max_size=6))
def test_no_path_leaves_the_root(parts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "paths"
    root = folder / "images"
    if not folder.exists():
        (root / "in").mkdir(parents=True)
        (root / "in" / "a.png").write_bytes(RED)
        (root / "link").symlink_to(folder)
        for place in (folder, folder.parent):
            (place / "secret.png").write_bytes(LIME)
    try:
        assert read_inside(root, "/".join(parts) or ".") == RED
    except VlmakeError as error:
        assert "image_path" in str(error)


@pytest.mark.parametrize("change", ["one byte", "longer"])
def test_another_file_than_the_source_is_refused(bench: Bench, change: str) -> None:
    bench.write("index image question", [["1", b64(RED), "before"]])
    source = bench.source()
    text = bench.tsv.read_text()
    bench.tsv.write_text(text.replace("before", "behind") if change == "one byte" else text + "2\t1\tmore\n")
    with pytest.raises(VlmakeError, match=r"is not the file that source\.json describes"):
        bench.decode(source)
    assert not list(bench.samples.parent.iterdir())


def test_a_failed_decode_leaves_the_old_outputs(bench: Bench) -> None:
    bench.write("index image", [["1", b64(RED)]])
    bench.decode()
    before = bench.samples.read_bytes(), bench.images.read_bytes()
    bench.write("index image", [["1", b64(BLUE)], ["1", b64(RED)]])
    with pytest.raises(VlmakeError):
        bench.decode()
    assert (bench.samples.read_bytes(), bench.images.read_bytes()) == before
    assert len(list(bench.samples.parent.iterdir())) == 2


def test_a_full_disk_is_said_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    noise = [b64(os.urandom(20_000)) for _ in range(20)]
    cells = [b64(RED + base64.b64decode(text)) for text in noise]  # Pillow ignores what follows an image
    bench.write("index image", [[str(number), cell] for number, cell in enumerate(cells)])
    source = tmp_path / "source.json"
    source.write_text(json.dumps(bench.source()))
    failed = run(bench, source, "bash", "-c", 'ulimit -f 100; exec "$@"', "bash")
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert str(bench.samples.parent) in failed.stderr and "took no more bytes" in failed.stderr
    assert not list(bench.samples.parent.iterdir())


def test_equal_input_gives_equal_bytes(bench: Bench) -> None:
    rows = [[str(number), [b64(RED), b64(BLUE), "0", HTML_CELL][number % 4], f"q{number}"] for number in range(200)]
    bench.write("index image question", rows)
    bench.decode()
    first = bench.samples.read_bytes(), bench.images.read_bytes()
    bench.decode()
    assert (bench.samples.read_bytes(), bench.images.read_bytes()) == first


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=15)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, st.integers(0, 3)), min_size=1, max_size=8))
def test_any_text_survives(rows: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = Bench(tmp_path_factory.mktemp("survives"))
    frame = pd.DataFrame({"index": range(len(rows)), "image": [b64(RED)] * len(rows), "q": [text for text, _ in rows]})
    frame.to_csv(bench.tsv, sep="\t", index=False)
    table = bench.decode()
    assert [row["q"] or "" for row in table] == [text for text, _ in rows]
    assert [row["index"] for row in table] == [str(number) for number in range(len(rows))]


def run(bench: Bench, source: Path, *before: str) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "workflow/scripts/decode.py"
    registry = bench.tsv.parent / "registry"
    (registry / "datasets").mkdir(parents=True, exist_ok=True)
    entry = {"path": str(bench.tsv), "task": "yes_no", "metric": "yes_no"}
    (registry / "datasets" / "x.yaml").write_text(json.dumps({"datasets": {"X": entry}}))
    options = {
        "--registry": registry,
        "--lmu-data": bench.root,
        "--dataset": "X",
        "--source": source,
        "--samples": bench.samples,
        "--images": bench.images,
    }
    command = [*before, sys.executable, str(script), *(str(part) for pair in options.items() for part in pair)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_program(bench: Bench, tmp_path: Path) -> None:
    bench.write("index image", [["1", b64(RED)], ["2", ""]])
    source = tmp_path / "source.json"
    missing = run(bench, source)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert missing.stderr.startswith("vlmake decode: ") and "run the download step first" in missing.stderr
    source.write_text("{}")
    assert "does not say sha256" in run(bench, source).stderr
    source.write_text(json.dumps(bench.source()))
    done = run(bench, source)
    assert done.returncode == 0
    assert done.stderr == "vlmake decode: 1 of 2 rows without a usable image; the first is row 2: no image\n"
    bench.write("index image", [["1", b64(BLUE)], ["2", ""]])
    failed = run(bench, source)
    assert failed.returncode == 1 and failed.stderr.startswith(f"vlmake decode: {bench.tsv} is not the file")
    assert "Traceback" not in failed.stderr
