"""`source: hf:...`: published tables of parquet files, from a folder, the hub's cache or a real HTTP server."""

import base64
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from tests.conftest import REPOSITORY, read_tsv
from tests.hub_server import HubServer
from vlmake.data.hf_source import choose, splits
from vlmake.errors import VlmakeError
from vlmake.registry.hf_names import HubSource, parse_source
from vlmake.registry.loading import load_registry
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Row = dict[str, Any]
PROGRAM = REPOSITORY / "workflow" / "scripts" / "download.py"


def picture(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (16, 12), colour).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = picture("red"), picture("blue")
red, blue = {"bytes": RED, "path": None}, {"bytes": BLUE, "path": "blue.png"}


def parquet(rows: Sequence[Row]) -> bytes:
    """Return a parquet file; columns that are called like images have the layout of the hub."""
    names = list(rows[0])
    kinds = {name: IMAGE for name in names if re.fullmatch(r"image(_[0-9])?", name)}
    buffer = BytesIO()
    arrays = [pa.array([row[name] for row in rows], kinds.get(name)) for name in names]
    pq.write_table(pa.table(arrays, names=names), buffer)
    return buffer.getvalue()


QUESTIONS = [
    {"question_id": "a", "image": red, "question": "Red?", "answer": "yes", "category": "x"},
    {"question_id": "b", "image": blue, "question": "Red?", "answer": "no", "category": "x"},
    {"question_id": "c", "image": blue, "question": "Blue?", "answer": "yes", "category": "y"},
]
SHARDS = {f"data/test-0000{n}-of-00003.parquet": parquet([row]) for n, row in enumerate(QUESTIONS)}


@dataclass
class Stage:
    """The download stage in a home of its own, with one registered dataset."""

    home: Path
    endpoint: str = "http://127.0.0.1:9"
    entry: dict[str, object] = field(default_factory=dict)

    @property
    def tsv(self) -> Path:
        return self.home / "lmu" / "Mine.tsv"

    def folder(self, files: dict[str, bytes]) -> str:
        for name, content in files.items():
            (self.home / "hub" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / "hub" / name).write_bytes(content)
        return f"hf:{self.home / 'hub'}"

    def write(self) -> Path:
        folder = self.home / "config"
        (folder / "datasets").mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"datasets": {"Mine": self.entry}})
        (folder / "datasets" / "mine.yaml").write_text(text, encoding="utf-8")
        return folder

    def run(self) -> tuple[int, str]:
        """Run the stage's program in this process: exit code and output."""
        done = CliRunner().invoke(runpy.run_path(str(PROGRAM))["download"], self.words())
        error = f"{done.exception}\n" if isinstance(done.exception, VlmakeError) else ""
        assert error or done.exception is None, done.exception
        return done.exit_code, done.output + error

    def words(self) -> list[str]:
        folders = ["--registry", str(self.write()), "--lmu-data", str(self.home / "lmu")]
        return [*folders, "--dataset", "Mine", "--source", str(self.home / "source.json")]

    def run_with_hub(self, **extra: str) -> tuple[int, str]:
        """Run it as a process of its own: the hub's client reads its environment once."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        own = {"HF_HOME": str(self.home / "hf"), "HF_ENDPOINT": self.endpoint, "HOME": str(self.home)}
        done = subprocess.run(
            [sys.executable, PROGRAM, *self.words()],
            env=kept | own | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout

    def rows(self) -> list[Row]:
        header, *rows = read_tsv(self.tsv)
        return [dict(zip(header, row, strict=True)) for row in rows]

    def source(self) -> Row:
        content = json.loads((self.home / "source.json").read_text(encoding="utf-8"))
        assert isinstance(content, dict)
        return content


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:lmms-lab/MME", HubSource("lmms-lab/MME", False, "main", ())),
        ("hf:lmms-lab/POPE:Full:random", HubSource("lmms-lab/POPE", False, "main", ("Full", "random"))),
        ("hf:a/b@v1.2:test", HubSource("a/b", False, "v1.2", ("test",))),
        ("hf:a/b::test", HubSource("a/b", False, "main", ("test",))),
        ("hf:/data/x:en:dev", HubSource("/data/x", True, "", ("en", "dev"))),
        ("/data/x", HubSource("/data/x", True, "", ())),
    ],
)
def test_sources_are_read(text: str, expected: HubSource) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text", ["a/b", "hf:", "hf:a/b/c", "hf:a/b:c:d:e", "hf:a/b:..:x", "hf:a b/c", "hf:a/b:x/y", ""]
)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(VlmakeError, match="is no hf:REPO"):
        parse_source(text)


LISTED = [
    "data/test-00000-of-00002-0a1b2c3d4e5f.parquet",
    "data/test-00001-of-00002-1a1b2c3d4e5f.parquet",
    "Full/random-00000-of-00001.parquet",
    "Full/popular-00000-of-00001.parquet",
    "en/dev/0000.parquet",
    "en/dev/0001.parquet",
    "val.parquet",
]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("test",), LISTED[:2]),
        (("default", "test"), LISTED[:2]),
        (("Full", "random"), LISTED[2:3]),
        (("popular",), LISTED[3:4]),
        (("en", "dev"), LISTED[4:6]),
        (("en",), LISTED[4:6]),
        (("val",), LISTED[6:]),
    ],
)
def test_a_split_is_found(parts: tuple[str, ...], expected: list[str]) -> None:
    assert list(choose(HubSource("a/b", False, "main", parts), LISTED[::-1]).files) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), "name one of its splits"),
        (("Full",), "name one of its splits"),
        (("Full", "test"), "there is no 'Full:test'"),
        (("full", "random"), "did you mean 'Full:random'"),
        (("nothing",), "there is no 'nothing'"),
    ],
)
def test_no_split_is_guessed(parts: tuple[str, ...], expected: str) -> None:
    with pytest.raises(VlmakeError, match=expected) as caught:
        choose(HubSource("a/b", False, "main", parts), LISTED)
    assert "Full:popular" in str(caught.value)


def test_a_missing_file_of_a_split_is_named() -> None:
    with pytest.raises(VlmakeError, match="data/test: file 1 of 2 is missing"):
        splits(LISTED[1:])


NONE = dict.fromkeys(f"image_{number}" for number in range(2, 8))
LAYOUTS: dict[str, tuple[dict[str, object], list[Row], list[Row]]] = {
    "MME": (
        {"metric": "mme"},
        [
            {"question_id": "code/1.png", "image": red, "question": "Is it?", "answer": "Yes", "category": "code"},
            {"question_id": "code/1.png", "image": red, "question": "Or not?", "answer": "No", "category": "code"},
        ],
        [
            {"index": "0", "question": "Is it?", "answer": "Yes", "category": "code", "question_id": "code/1.png"},
            {"index": "1", "question": "Or not?", "answer": "No", "category": "code", "image": "0"},
        ],
    ),
    "POPE": (
        {"metric": "pope"},
        [
            {
                **{"id": "0", "question_id": "1", "question": "Is it?", "answer": "yes"},
                **{"image_source": "COCO_1", "image": red, "category": "random"},
            },
            {
                **{"id": "1", "question_id": "1", "question": "Is it?", "answer": "no"},
                **{"image_source": "COCO_1", "image": blue, "category": "popular"},
            },
        ],
        [{"index": "0", "answer": "Yes", "image_source": "COCO_1"}, {"index": "1", "answer": "No"}],
    ),
    "MMBench": (
        {"metric": "choice"},
        [
            {
                **{"index": 241, "question": "Which?", "hint": "Look.", "answer": "B", "A": "a", "B": "b", "C": None},
                **{"category": "c", "image": red, "source": "s", "L2-category": "l", "comment": None, "split": "dev"},
            }
        ],
        [
            {
                **{"index": "241", "hint": "Look.", "answer": "B", "B": "b", "C": ""},
                **{"category": "c", "l2-category": "l", "split": "dev"},
            }
        ],
    ),
    "MMMU": (
        {"metric": "mmmu", "image_order": "numbered"},
        [
            {
                **{"id": "v_1", "question": "<image 1> <image 2>", "options": "['a', \"b's\"]", "explanation": "?"},
                **{"image_1": red, **NONE, "image_2": blue, "answer": "B"},
            },
            {
                **{"id": "v_2", "question": "<image 1>", "options": "[]", "explanation": ""},
                **{"image_1": red, **NONE, "answer": "24/7"},
            },
        ],
        [{"index": "v_1", "A": "a", "B": "b's", "answer": "B"}, {"index": "v_2", "A": "", "answer": "24/7"}],
    ),
    "TextVQA": (
        {"metric": "vqa_accuracy"},
        [
            {
                **{"image_id": "x", "question_id": 34602, "question": "What brand?", "question_tokens": ["what"]},
                **{"image": red, "image_width": 16, "answers": ["nous les gosses", "nous"], "set_name": "val"},
            }
        ],
        [
            {
                "index": "34602",
                "answer": "['nous les gosses', 'nous']",
                "image_width": "16",
                "question_tokens": '["what"]',
            }
        ],
    ),
    "DocVQA": (
        {"metric": "anls"},
        [
            {
                **{"questionId": "49153", "question": "How much?", "question_types": ["figure"], "image": red},
                **{"docId": 14465, "answers": ["0.28"], "data_split": "val"},
            }
        ],
        [{"index": "49153", "answer": "0.28", "docId": "14465"}],
    ),
    "DocVQA without answers": (
        {"metric": "anls", "answers": False},
        [{"questionId": "7", "question": "How much?", "image": red, "answers": None}],
        [{"index": "7", "answer": ""}],
    ),
    "ScienceQA": (
        {"metric": "choice"},
        [
            {"image": red, "question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "", "topic": "t"},
            {"image": None, "question": "Which?", "choices": ["a", "b"], "answer": 0, "hint": "h", "topic": "t"},
        ],
        [{"index": "0", "answer": "B", "B": "b"}, {"index": "1", "answer": "A", "image": ""}],
    ),
    "AI2D": (
        {"metric": "choice", "first_option": 0},
        [{"question": "Which?", "options": ["x", "y", "z"], "answer": "2", "image": red}],
        [{"answer": "C", "C": "z"}],
    ),
    "SEEDBench": (
        {"metric": "choice"},
        [
            {
                **{"answer": "B", "choice_a": "One", "choice_b": "Two", "data_id": "d", "question": "How many?"},
                **{"question_id": "q1", "image": red},
            }
        ],
        [{"index": "q1", "A": "One", "B": "Two", "answer": "B"}],
    ),
    "HallusionBench": (
        {"metric": "yes_no"},
        [
            {"category": "VD", "question_id": "0", "question": "Is it?", "gt_answer": "1", "image": red},
            {"category": "VD", "question_id": "0", "question": "Or not?", "gt_answer": "0", "image": red},
        ],
        [{"index": "0", "answer": "Yes"}, {"index": "1", "answer": "No"}],
    ),
    "columns that are said": (
        {"metric": "vqa_exact", "columns": {"question": "ask", "answer": "truth", "category": "kind"}},
        [{"image": red, "ask": "What?", "question": "old", "truth": "it", "kind": "k"}],
        [{"question": "What?", "answer": "it", "category": "k", "original:question": "old"}],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_published_collections(stage: Stage, name: str) -> None:
    entry, rows, expected = LAYOUTS[name]
    source = stage.folder({"data/test-00000-of-00001.parquet": parquet(rows)})
    stage.entry = {"source": source, **entry}
    code, output = stage.run()
    assert code == 0, output
    made = stage.rows()
    assert [{key: row[key] for key in wanted} for row, wanted in zip(made, expected, strict=True)] == expected
    record = stage.source()
    assert (record["origin"], record["file"]) == (source, "Mine.tsv")
    notes = {"MMMU": "no options in 1 row, the first is row 2", "ScienceQA": "no image in 1 row"}
    assert notes.get(name, "") in output


def test_several_images_come_in_order(stage: Stage) -> None:
    _, rows, _ = LAYOUTS["MMMU"]
    stage.entry = {"source": stage.folder({"val.parquet": parquet(rows)}), "metric": "mmmu"}
    assert stage.run()[0] == 0
    cell = stage.rows()[0]["image"]
    assert [base64.b64decode(text.strip(" '")) for text in cell[1:-1].split(",")] == [RED, BLUE]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"question": None}, "row 2, column 'question': empty"),
        ({"answer": "E", "options": ["a", "b"]}, "row 2, column 'answer': 'E' is no letter"),
        ({"options": "cat, dog"}, "row 2, column 'options': no list of options"),
        ({"image": {"bytes": None, "path": "elsewhere.png"}}, "row 2, column 'image': a text that is no base64"),
    ],
)
def test_faults_are_a_line_with_row_and_column(stage: Stage, change: Row, expected: str) -> None:
    options: Any = ["a", "b"] if not isinstance(change.get("options"), str) else "['a', 'b']"
    row = {"question": "?", "image": red, "options": options, "answer": "A"}
    stage.entry = {"source": stage.folder({"test.parquet": parquet([row, row | change])}), "metric": "choice"}
    code, output = stage.run()
    assert (code, output.count("\n")) == (1, 1), output
    assert expected in output
    assert not stage.tsv.exists()


def test_an_answer_that_is_neither_yes_nor_no(stage: Stage) -> None:
    rows = [QUESTIONS[0], QUESTIONS[1] | {"answer": "perhaps"}]
    stage.entry = {"source": stage.folder({"test.parquet": parquet(rows)}), "metric": "pope"}
    code, output = stage.run()
    assert code == 1
    assert "row 2, column 'answer': 'perhaps' is neither yes nor no" in output


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"readme.md": b"nothing"}, "holds no parquet files"),
        ({"test-00000-of-00002.parquet": parquet(QUESTIONS)}, "file 2 of 2 is missing"),
        ({"test.parquet": b"PAR1 not really PAR1"}, "test.parquet is no parquet file, or damaged"),
        ({"test.parquet": parquet([{"question": "?", "answer": "x"}])}, "no column with images"),
        ({"test.parquet": parquet([{"image": red, "answer": "x"}])}, "no column with questions"),
        (
            {
                "test-00000-of-00002.parquet": parquet(QUESTIONS[:1]),
                "test-00001-of-00002.parquet": parquet([{"image": red}]),
            },
            "column 'question_id' is missing",
        ),
    ],
    ids=str,
)
def test_folders_that_hold_no_dataset(stage: Stage, files: dict[str, bytes], expected: str) -> None:
    stage.entry = {"source": stage.folder(files), "metric": "yes_no"}
    code, output = stage.run()
    assert (code, output.count("\n")) == (1, 1), output
    assert expected in output


class TestHub:
    def test_only_the_split_is_fetched_and_the_commit_is_pinned(self, stage: Stage, server: HubServer) -> None:
        commit = server.publish("lmms-lab/Mine", {**SHARDS, "data/train-00000-of-00001.parquet": b"not wanted"})
        stage.endpoint = server.url
        stage.entry = {"source": "hf:lmms-lab/Mine:test", "metric": "pope"}
        code, output = stage.run_with_hub()
        assert code == 0, output
        assert sorted(set(server.downloaded())) == sorted(SHARDS)
        assert [row["index"] for row in stage.rows()] == ["a", "b", "c"], "shards in order"
        assert stage.source()["origin"] == f"hf:lmms-lab/Mine@{commit}"

        before = stage.tsv.read_bytes()
        server.publish("lmms-lab/Mine", {name: SHARDS[min(SHARDS)] for name in SHARDS})
        server.asked.clear()
        assert stage.run_with_hub()[0] == 0
        assert (server.asked, stage.tsv.read_bytes()) == ([], before), "the TSV stays what it was made from"
        assert stage.source()["origin"] == f"hf:lmms-lab/Mine@{commit}"

    def test_the_cache_is_enough_without_a_network(self, stage: Stage, server: HubServer) -> None:
        commit = server.publish("lmms-lab/Mine", SHARDS)
        stage.endpoint = server.url
        stage.entry = {"source": "hf:lmms-lab/Mine", "metric": "pope"}
        assert stage.run_with_hub()[0] == 0
        before = stage.tsv.read_bytes()
        server.stop()
        for extra in ({"HF_HUB_OFFLINE": "1"}, {}):
            for file in stage.tsv.parent.iterdir():
                file.unlink()
            code, output = stage.run_with_hub(**extra)
            assert code == 0, output
            assert stage.tsv.read_bytes() == before
            assert stage.source()["origin"] == f"hf:lmms-lab/Mine@{commit}"

    @pytest.mark.parametrize(
        ("source", "extra", "expected"),
        [
            ("hf:lmms-lab/Mine", {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids to ask"),
            ("hf:lmms-lab/Mine@v9", {}, "has no revision 'v9'"),
            ("hf:lmms-lab/Other", {}, "there is no lmms-lab/Other on 127.0.0.1"),
            ("hf:lmms-lab/Mine:tets", {}, "did you mean 'test'"),
            ("hf:lmms-lab/Empty", {}, "no parquet files"),
            ("hf:/nowhere/at/all", {}, "is no folder of parquet files"),
        ],
    )
    def test_what_cannot_be_had_is_one_line(
        self, stage: Stage, server: HubServer, source: str, extra: dict[str, str], expected: str
    ) -> None:
        server.publish("lmms-lab/Mine", SHARDS)
        server.publish("lmms-lab/Empty", {"README.md": b"empty"})
        stage.endpoint = server.url
        stage.entry = {"source": source, "metric": "pope"}
        code, output = stage.run_with_hub(HF_TOKEN="hf_secret", **extra)
        assert (code, output.count("\n")) == (1, 1), output
        assert expected in output
        assert "hf_secret" not in output


class TestTheTsvThatIsThere:
    @pytest.fixture
    def made(self, stage: Stage) -> Stage:
        stage.entry = {"source": stage.folder(SHARDS), "metric": "pope"}
        assert stage.run()[0] == 0
        return stage

    def test_another_entry_makes_another_one(self, made: Stage) -> None:
        made.entry |= {"columns": {"category": "question_id"}}
        code, output = made.run()
        assert code == 0, output
        assert [row["category"] for row in made.rows()] == ["a", "b", "c"]

    def test_one_that_somebody_changed_is_left_alone(self, made: Stage) -> None:
        changed = made.tsv.read_bytes().replace(b"Blue?", b"Green?")
        made.tsv.write_bytes(changed)
        code, output = made.run()
        assert (code, output.count("\n")) == (1, 1), output
        assert "was changed since it was made from hf:" in output
        assert made.tsv.read_bytes() == changed

    def test_one_that_was_there_before_is_used(self, stage: Stage) -> None:
        stage.tsv.parent.mkdir()
        stage.tsv.write_text("index\timage\tquestion\n", encoding="utf-8")
        stage.entry = {"source": "hf:nobody/asks", "metric": "pope"}
        assert stage.run()[0] == 0
        assert stage.source()["origin"] == "existing file"


class TestPlanning:
    def spec(self, stage: Stage) -> str:
        return Plan(load_registry([stage.write()]), RunConfig()).source_spec("Mine")

    def test_another_table_is_stale_and_another_branch_is_not(self, stage: Stage) -> None:
        stage.entry = {"source": stage.folder(SHARDS), "metric": "pope"}
        before = self.spec(stage)
        assert self.spec(stage) == before
        stage.folder({"data/test-00000-of-00003.parquet": parquet(QUESTIONS)})
        changed = self.spec(stage)
        stage.entry |= {"columns": {"hint": "category"}}
        assert len({before, changed, self.spec(stage)}) == 3

    def test_a_relative_folder_is_relative_to_its_file(self, stage: Stage) -> None:
        stage.folder(SHARDS)
        stage.entry = {"source": "hf:../../hub:test", "metric": "pope"}
        known = load_registry([stage.write()])
        assert known.dataset("Mine").source == f"hf:{stage.home / 'hub'}:test"
        assert stage.run()[0] == 0
        (stage.home / "config" / "datasets" / "beside").symlink_to(stage.home / "hub")
        stage.entry = {"source": "hf:./beside:test", "metric": "pope"}
        assert load_registry([stage.write()]).dataset("Mine").source == f"hf:{stage.home / 'hub'}:test"

    def test_a_tsv_that_was_edited_after_it_was_made_is_stale(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LMUData", str(stage.home / "lmu"))
        stage.entry = {"source": stage.folder(SHARDS), "metric": "pope"}
        before = self.spec(stage)
        assert stage.run()[0] == 0
        assert self.spec(stage) == before, "what the stage itself made is nothing new"
        content = stage.tsv.read_bytes()
        stage.tsv.write_bytes(content + b"\n")
        edited = self.spec(stage)
        stage.tsv.with_name("Mine.tsv.made.json").unlink()
        assert before != edited == self.spec(stage), "then it is a file that was there before"
        stage.tsv.unlink()
        assert self.spec(stage) == before

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"source": "lmms-lab/MME", "metric": "mme"}, "source: 'lmms-lab/MME' is no hf:REPO"),
            (
                {"source": "hf:a/b"},
                r"give `task` \(yes_no, .*\) and `metric`, or `scoring: none`: only a TSV on disk",
            ),
            ({"source": "hf:a/b", "url": "https://example.org/x.tsv", "metric": "mme"}, "exclude each other"),
            ({"source": "hf:a/b", "path": "x.tsv", "metric": "mme"}, "`path` and `source` exclude each other"),
            ({"path": "x.tsv", "first_option": 1, "metric": "mme"}, "`first_option` says what becomes"),
            ({"path": "x.tsv", "columns": {"question": "q"}, "metric": "mme"}, "`columns` says what becomes"),
        ],
    )
    def test_wrong_entries(self, stage: Stage, entry: dict[str, object], expected: str) -> None:
        stage.entry = entry
        with pytest.raises(VlmakeError, match=expected):
            load_registry([stage.write()])
