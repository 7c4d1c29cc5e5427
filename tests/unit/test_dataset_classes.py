"""Dataset classes of the user's own: the helpers they import, and what becomes of what they return."""

import base64
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import write_tsv
from vlmake import vlmeval
from vlmake.data.images import ImageError, ImageStore
from vlmake.dataset_classes.asking import decode_class
from vlmake.dataset_classes.evaluating import Answer, overall, score_by_class
from vlmake.dataset_classes.process import MOST_LOGGED, ClassCall, ask_class, scratch_folder
from vlmake.dataset_classes.results import as_table, hits_by_index
from vlmake.dataset_classes.source import class_digest, class_name
from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.runs.program import INTERRUPTED
from vlmake.vlmeval import (
    ImageBaseDataset,
    LMUDataRoot,
    decode_base64_to_image,
    decode_base64_to_image_file,
    dump,
    encode_image_file_to_base64,
    encode_image_to_base64,
    get_intermediate_file_path,
    load,
    toliststr,
)


def picture(width: int = 30, height: int = 20, mode: str = "RGB", colour: object = (200, 30, 10)) -> Image.Image:
    return Image.new(mode, (width, height), colour)  # type: ignore[arg-type]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def text_of(image: Image.Image) -> str:
    return base64.b64encode(png(image)).decode()


def test_image_survives_base64_without_loss_in_a_format_that_loses_nothing() -> None:
    there = encode_image_to_base64(picture(), fmt="PNG")
    back = decode_base64_to_image(there)
    assert (back.mode, back.size) == ("RGB", (30, 20))
    assert back.tobytes() == picture().tobytes()


def test_default_format_is_jpeg_and_transparency_is_dropped() -> None:
    there = encode_image_to_base64(picture(mode="RGBA", colour=(200, 30, 10, 5)))
    assert base64.b64decode(there).startswith(b"\xff\xd8")
    assert decode_base64_to_image(there).mode == "RGB"


@pytest.mark.parametrize(("target", "size"), [(-1, (30, 20)), (15, (15, 10)), (90, (30, 20))])
def test_target_size_is_the_longest_side_and_never_enlarges(tmp_path: Path, target: int, size: tuple[int, int]) -> None:
    original = picture()
    assert decode_base64_to_image(encode_image_to_base64(original, target)).size == size
    assert original.size == (30, 20)
    assert decode_base64_to_image(text_of(original), target).size == size
    original.save(tmp_path / "in.png")
    assert decode_base64_to_image(encode_image_file_to_base64(tmp_path / "in.png", target)).size == size
    decode_base64_to_image_file(text_of(original), tmp_path / "made" / "out.png", target)
    assert Image.open(tmp_path / "made" / "out.png").size == size


TABLE = pd.DataFrame({"index": [1, 2], "answer": ["A", 'a "b"\tc'], "hit": [0.5, 1.0]})


@pytest.mark.parametrize("ending", ["tsv", "csv", "xlsx"])
def test_tables_come_back_as_they_were(tmp_path: Path, ending: str) -> None:
    dump(TABLE, tmp_path / f"t.{ending}")
    pd.testing.assert_frame_equal(load(tmp_path / f"t.{ending}"), TABLE)


def test_json_and_lines_of_json(tmp_path: Path) -> None:
    dump({"答": [1, None]}, tmp_path / "t.json")
    assert load(tmp_path / "t.json") == {"答": [1, None]}
    assert "答" in (tmp_path / "t.json").read_text(encoding="utf-8")
    dump([{"a": 1}, {"a": "\u2028"}], tmp_path / "t.jsonl")
    assert load(str(tmp_path / "t.jsonl")) == [{"a": 1}, {"a": "\u2028"}]


def test_spreadsheet_keeps_texts_as_texts(tmp_path: Path) -> None:
    dump(pd.DataFrame({"prediction": ["=1+1", "a\x01b", None, "x" * 40_000, "007"]}), tmp_path / "t.xlsx")
    formula, control, gap, long, zeros = load(tmp_path / "t.xlsx")["prediction"]
    assert (formula, control, zeros) == ("=1+1", "a␁b", "007")
    assert pd.isna(gap)
    assert len(long) == 32_767


@pytest.mark.parametrize("name", ["t.pkl", "t.PICKLE"])
def test_pickles_are_refused_both_ways(tmp_path: Path, name: str) -> None:
    with pytest.raises(VlmakeError, match="pickles are not read"):
        load(tmp_path / name)
    with pytest.raises(VlmakeError, match="pickles are not written"):
        dump({}, tmp_path / name)
    assert not (tmp_path / name).exists()
    with pytest.raises(VlmakeError, match="pickles are not read"):
        load(tmp_path / "t.json", fmt="pkl")


def test_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(VlmakeError, match=r"unknown format '\.txt'; known: \.tsv, \.csv"):
        load(tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("cell", "items"),
    [("a.png", ["a.png"]), ("['a', \"b\"]", ["a", "b"]), ("[1, 2]", ["1", "2"]), (["x", 3], ["x", "3"])],
)
def test_cells_become_lists(cell: object, items: list[str]) -> None:
    assert toliststr(cell) == items


def test_list_is_never_evaluated() -> None:
    with pytest.raises(ValueError, match="not a list"):
        toliststr("[__import__('os').getpid()]")


def test_name_of_a_file_beside_the_predictions() -> None:
    assert get_intermediate_file_path("/a.b/M_D.xlsx", "_acc", "csv") == "/a.b/M_D_acc.csv"
    assert get_intermediate_file_path("/a.b/M_D.xlsx", "_result") == "/a.b/M_D_result.xlsx"


def test_star_import_gives_what_the_guides_classes_use() -> None:
    names: dict[str, object] = {}
    exec("from vlmake.vlmeval import *", names)
    assert {"osp", "pd", "np", "load", "dump", "ImageBaseDataset", "defaultdict", "LMUDataRoot"} <= names.keys()


RED, BLUE = picture(), picture(colour=(0, 0, 250))


class Sheet(ImageBaseDataset):
    TYPE = "VQA"
    DATASET_URL = {"Sheet": "https://example.org/Sheet.tsv", "Other": ""}  # noqa: RUF012 (as the guide writes it)


@pytest.fixture
def sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Sheet]:
    rows = [
        ["index", "image", "image_path", "question"],
        ["0", text_of(RED), "a/one.png", "What?"],
        ["1", text_of(BLUE), "a/one.png", "Where?"],
        ["2", "0", "../../out.png", "Who?"],
        ["3", f"['{text_of(RED)}', '{text_of(BLUE)}']", "['r.png', 'b.png']", "Which?"],
        ["4", "", "none.png", "Why?"],
    ]
    write_tsv(tmp_path / "sheet.tsv", rows)
    monkeypatch.setenv("LMUData", str(tmp_path / "LMU"))
    monkeypatch.setattr(Sheet, "tsv_files", {"Sheet": str(tmp_path / "sheet.tsv")})
    return Sheet


def test_rows_follow_references_and_leave_out_those_without_an_image(sheet: type[Sheet]) -> None:
    built = sheet(dataset="Sheet")
    assert [built.dataset_name, built.meta_only, len(built), built.MODALITY] == ["Sheet", False, 4, "IMAGE"]
    assert built.supported_datasets() == ["Sheet", "Other"]
    assert list(built.data["index"]) == [0, 1, 2, 3]
    assert built[2]["image"] == text_of(RED)
    assert built[3]["image_path"] == ["r.png", "b.png"]
    assert len(sheet("Sheet", skip_noimg=False)) == 5


def test_prompt_shows_the_original_bytes_of_each_row(sheet: type[Sheet], tmp_path: Path) -> None:
    built = sheet("Sheet")
    shown = []
    for number in range(len(built)):
        *images, question = built.build_prompt(number)
        assert question["type"] == "text"
        shown.append([question["value"], *(Path(part["value"]).read_bytes() for part in images)])
        assert all(Path(part["value"]).is_relative_to(LMUDataRoot()) for part in images)
    red, blue = png(RED), png(BLUE)
    assert shown == [["What?", red], ["Where?", blue], ["Who?", red], ["Which?", red, blue]]
    assert built.build_prompt(built.data.iloc[0])[0]["value"].endswith("a/one.png")
    assert not (tmp_path / "out.png").exists()


def test_broken_or_missing_image_is_said_of_that_row(sheet: type[Sheet]) -> None:
    built = sheet("Sheet", skip_noimg=False)
    with pytest.raises(ImageError, match="no image"):
        built.dump_image(built.data.iloc[4])
    with pytest.raises(ImageError, match="broken base64"):
        built.dump_image({"index": 9, "image": "@@@"})


def test_reference_that_leads_nowhere_is_one_line(sheet: type[Sheet], tmp_path: Path) -> None:
    write_tsv(tmp_path / "sheet.tsv", [["index", "image", "question"], ["0", "7", "What?"]])
    with pytest.raises(VlmakeError, match="index '0': its image '7' is no index"):
        sheet("Sheet")


def test_display_prints_paths_and_cells(sheet: type[Sheet], capsys: pytest.CaptureFixture[str]) -> None:
    sheet("Sheet").display(0)
    printed = capsys.readouterr().out
    assert "a/one.png" in printed
    assert "question: What?" in printed
    assert text_of(RED) not in printed


def test_tsv_outside_a_workflow_is_downloaded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tsv(tmp_path / "Far.tsv", [["index", "image_path", "question"], ["x1", "p.png", "What?"]])

    class Far(ImageBaseDataset):
        DATASET_URL = {"Far": (tmp_path / "Far.tsv").as_uri()}  # noqa: RUF012
        DATASET_MD5 = {"Far": vlmeval.md5(str(tmp_path / "Far.tsv"))}  # noqa: RUF012

    monkeypatch.setenv("LMUData", str(tmp_path / "LMU"))
    built = Far("Far")
    assert (tmp_path / "LMU" / "Far.tsv").is_file()
    shown = {"type": "image", "value": str(tmp_path / "LMU" / "images" / "Far" / "p.png")}
    assert built.build_prompt(0) == [shown, {"type": "text", "value": "What?"}]
    monkeypatch.setattr(Far, "DATASET_MD5", {"Far": "0" * 32})
    with pytest.raises(VlmakeError, match="is not the registered file"):
        Far("Far")
    with pytest.raises(VlmakeError, match=r"Far has no DATASET_URL\['Near'\]"):
        Far("Near")


@pytest.mark.parametrize(
    ("result", "columns", "rows"),
    [
        ({"Overall": 0.5, "n": 4}, ["Overall", "n"], [[0.5, 4]]),
        ({"split": ["a", "b"], "Overall": [0.5, float("nan")]}, ["split", "Overall"], [["a", 0.5], ["b", None]]),
        ({"a": {"acc": 1}, "b": {"acc": 0, "n": 2}}, ["name", "acc", "n"], [["a", 1, None], ["b", 0, 2]]),
        (pd.DataFrame({"split": ["none"], "Overall": [50]}), ["split", "Overall"], [["none", 50]]),
        (pd.DataFrame({"acc": [1.0, 0.0]}, index=["x", "y"]), ["name", "acc"], [["x", 1.0], ["y", 0.0]]),
        (pd.DataFrame({"index": [1, 2], "hit": [True, False]}), ["Overall"], [[0.5]]),
    ],
)  # fmt: skip
def test_what_a_class_returns_becomes_a_table(result: object, columns: list[str], rows: list[list[object]]) -> None:
    assert as_table(result) == (columns, rows)


@pytest.mark.parametrize("result", [None, 0.5, {}, {"a": [1, 2], "b": [1]}, pd.DataFrame(), {"a": []}, {"a": {}}])
def test_other_results_are_refused(result: object) -> None:
    with pytest.raises(VlmakeError, match=r"it (must return|returned) a"):
        as_table(result)


@pytest.mark.parametrize(
    "result",
    [
        {"Overall": float("nan")},
        {"Overall": float("inf"), "b": None},
        {"overall": None, "n": 6},
        pd.DataFrame({"split": ["dev"], "Overall": [pd.NA]}),
        pd.DataFrame({"index": [1, 2], "hit": [None, "?"]}),
    ],
)
def test_table_without_a_score_is_refused(result: object) -> None:
    with pytest.raises(VlmakeError, match=r"it returned no score: .* is all that is in .*[Oo]verall"):
        as_table(result)


def test_score_beyond_what_a_float_holds_is_refused() -> None:
    with pytest.raises(VlmakeError, match="a number of 1329 bits"):
        as_table({"Overall": -(10**400)})
    assert as_table({"Overall": 2**70}) == (["Overall"], [[2**70]])


def test_number_by_which_a_table_is_quoted() -> None:
    assert overall(["split", "acc", "overall"], [["dev", 1, 0.25]]) == ("overall", 0.25)
    assert overall(["split", "acc"], [["dev", 1]]) == ("acc", 1.0)
    assert overall(["n", "Overall"], [[6, None], [6, 0.5]]) == ("Overall", None), "n is no score"
    assert overall(["split"], [["dev"]]) == (None, None)
    assert overall([], []) == (None, None)


def test_hits_are_found_in_what_was_returned_or_written(tmp_path: Path) -> None:
    eval_file = tmp_path / "M_D.xlsx"
    dump(pd.DataFrame({"index": [1, 2], "hit": [1, 1]}), eval_file)
    assert hits_by_index({"Overall": 1}, eval_file, ["1", "2"]) is None, "the predictions themselves do not count"
    (tmp_path / "M_D_broken.xlsx").write_bytes(b"no spreadsheet")
    dump(pd.DataFrame({"index": [8, 9], "hit": [1, 1]}), tmp_path / "M_D_other.tsv")
    assert hits_by_index({"Overall": 1}, eval_file, ["1", "2"]) is None, "rows of something else"
    dump(pd.DataFrame({"index": [1.0, 2.0], "hit": ["True", None]}), tmp_path / "M_D_result.xlsx")
    assert hits_by_index({"Overall": 1}, eval_file, ["1", "2"]) == {"1": 1.0}
    returned = pd.DataFrame({"index": [1, 2], "hit": [0.5, False]})
    assert hits_by_index(returned, eval_file, ["1", "2"]) == {"1": 0.5, "2": 0.0}


def test_digest_follows_the_modules_beside_the_class(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    files = {
        "pack/__init__.py": "",
        "pack/mine.py": "import json\nfrom . import near\nfrom helpers.deep import thing\n",
        "pack/near.py": "A = 1\n",
        "helpers/__init__.py": "",
        "helpers/deep.py": "thing = 1\n",
        "unrelated.py": "B = 1\n",
    }
    (tmp_path / "helpers").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def digest() -> str:
        return class_digest("pack.mine:Mine", str(tmp_path))

    first = digest()
    (tmp_path / "unrelated.py").write_text("B = 2\n", encoding="utf-8")
    assert digest() == first
    seen = {first}
    for name in ("pack/mine.py", "pack/near.py", "helpers/deep.py", "pack/__init__.py"):
        (tmp_path / name).write_text(files[name] + "# changed\n", encoding="utf-8")
        assert digest() not in seen, name
        seen.add(digest())
    (tmp_path / "pack" / "mine.py").write_text("def broken(:\n", encoding="utf-8")
    assert digest() not in seen, "a source that is no Python has a digest too"
    with pytest.raises(VlmakeError, match=r"there is no gone\.py in .*python_path"):
        class_digest("gone:Mine", str(tmp_path))
    with pytest.raises(VlmakeError, match="write my_module:MyDataset"):
        class_name("my_module.MyDataset", None)


def call(folder: Path, source: str, tmp_path: Path) -> ClassCall:
    (folder / "mine.py").write_text(source, encoding="utf-8")
    tsv = tmp_path / "t.tsv"
    write_tsv(tsv, [["index", "image_path", "question"], ["1", "gone.png", "What?"], ["2", "gone.png", "Where?"]])
    return ClassCall(class_name("mine:Mine", str(folder)), "D", tsv, tmp_path / "LMU", tmp_path / "class.log")


HEAD = "import os, sys\nfrom vlmake.vlmeval import *\nclass Mine(ImageBaseDataset):\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import nothing_of_that_name\n", "mine:Mine: import: ModuleNotFoundError: No module named"),
        ("Mine = 3\n", "mine:Mine: import: the module has no class Mine"),
        ("class Mine:\n    def __init__(self, dataset): pass\n", "__init__: it must leave a DataFrame"),
        (HEAD + "    def __init__(self, dataset): sys.exit(3)\n", "__init__: SystemExit: 3 (mine.py line 4)"),
        (
            HEAD + "    def build_prompt(self, line):\n        return [line['nothing']]\n",
            "build_prompt at row 1 (index 1): KeyError: 'nothing' (mine.py line 5)",
        ),
        (HEAD + "    def build_prompt(self, line): return 'What?'\n", "at row 1 (index 1): it must return a list"),
        (HEAD + "    def build_prompt(self, line): return [{'type': 'video', 'value': 'x'}]\n", "no part of a prompt"),
        (HEAD + "    def build_prompt(self, line): return [{'type': 'image', 'value': 'https://x/y'}]\n", "not a URL"),
        (HEAD + "    def build_prompt(self, line): os._exit(7)\n", "its process ended without an answer (exit code 7)"),
        (HEAD + "    def build_prompt(self, line): os.kill(os.getpid(), 11)\n", "without an answer (signal SIGSEGV)"),
        (
            HEAD + "    def build_prompt(self, line): return ['What', '\\ud800?' if line['index'] == 2 else '?']\n",
            "build_prompt at row 2 (index 2): a text holds half a character (U+D800, a lone surrogate)",
        ),
        (HEAD + "    def build_prompt(self, line): return [os.makedirs('../answer.json/a', exist_ok=True) or '?']\n",
         "ask: the answer of its process cannot be read ([Errno 21] Is a directory"),
        (HEAD + "    def build_prompt(self, line): self.data = None; raise Odd\nclass Odd(Exception):\n"
         "    def __str__(self): return 1/0\n", "at row 1 (index 1): Odd: (its text cannot be had) (mine.py line 4)"),
    ],
)  # fmt: skip
def test_fault_of_a_class_is_one_line_that_tells_where_its_output_is(
    tmp_path: Path, source: str, expected: str
) -> None:
    made = call(tmp_path, source, tmp_path)
    with scratch_folder(made.log) as scratch, pytest.raises(VlmakeError) as caught:
        ask_class(made, "ask", scratch)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("dataset 'D': mine:Mine: ")
    assert str(caught.value).endswith(f"its output is in {tmp_path / 'class.log'}")
    assert not scratch.exists()


def test_text_of_an_exception_is_cut_and_cannot_steer_a_terminal(tmp_path: Path) -> None:
    text = "'red \\x1b[31;1m\\x07 two\\nlines \\u202e' + 'x' * 5000"
    made = call(tmp_path, HEAD + f"    def build_prompt(self, line): raise ValueError({text})\n", tmp_path)
    with scratch_folder(made.log) as scratch, pytest.raises(VlmakeError) as caught:
        ask_class(made, "ask", scratch)
    told = str(caught.value)
    assert told.isprintable()
    assert "ValueError: red two lines xxx" in told
    assert "xxx… (mine.py line 4); its output is in " in told
    assert told.count("x") < 400
    assert "x" * 5000 in made.log.read_text(encoding="utf-8"), "the log has it whole"


def test_class_that_empties_its_own_folder_harms_nothing(tmp_path: Path) -> None:
    empties = (
        "    def build_prompt(self, line):\n"
        "        for name in os.listdir('.'): os.unlink(name)\n"
        "        return ['What?']\n"
        "    def evaluate(self, eval_file, **kwargs):\n"
        "        import shutil\n"
        "        rows = len(load(eval_file))\n"
        "        shutil.rmtree(os.path.dirname(eval_file))\n"
        "        return {'Overall': rows}\n"
    )
    made = call(tmp_path, HEAD + empties, tmp_path)
    source = {"sha256": file_digest(made.tsv)}
    assert decode_class(made, source, tmp_path / "samples.parquet", tmp_path / "images.arrow").rows == 2
    answers = [Answer(index, "Yes", "ok") for index in ("1", "2")]
    assert score_by_class(made, "Model", None, answers).rows == [[2]]


def test_class_that_makes_away_with_its_rows_is_named(tmp_path: Path) -> None:
    removes = "    def build_prompt(self, line):\n        os.unlink('../rows.jsonl')\n        return ['What?']\n"
    made = call(tmp_path, HEAD.replace("os, sys", "os, contextlib") + removes, tmp_path)
    write_tsv(made.tsv, [["index", "question"], ["1", "What?"]])
    source = {"sha256": file_digest(made.tsv)}
    with pytest.raises(
        VlmakeError, match=r"mine:Mine: ask: the rows that its process wrote cannot be read .*class\.log"
    ):
        decode_class(made, source, tmp_path / "samples.parquet", tmp_path / "images.arrow")


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("{'\\ud800': 3}", "evaluate: a text holds half a character (U+D800"),
        ("{'Overall': 10**400}", "evaluate: it returned a number of 1329 bits"),
        ("{'Overall': 1, 'b': Broken()}", "evaluate: ZeroDivisionError: division by zero (mine.py line 5)"),
    ],
)
def test_fault_in_what_evaluate_returned_is_one_line(tmp_path: Path, returned: str, expected: str) -> None:
    source = (
        "from vlmake.vlmeval import *\n\n"
        "class Broken:\n"
        "    def __str__(self):\n        return 1/0\n"
        f"class Mine(ImageBaseDataset):\n    def evaluate(self, eval_file, **kwargs):\n        return {returned}\n"
    )
    made = call(tmp_path, source, tmp_path)
    with pytest.raises(VlmakeError) as caught:
        score_by_class(made, "Model", None, [Answer(index, "Yes", "ok") for index in ("1", "2")])
    assert f"dataset 'D': mine:Mine: {expected}" in str(caught.value)
    assert str(caught.value).endswith(f"; its output is in {made.log}")


def test_output_without_end_fills_no_disk_and_keeps_the_traceback(tmp_path: Path) -> None:
    loud = (
        HEAD + "    def build_prompt(self, line):\n        print('x' * 30_000_000)\n        raise ValueError('quiet')\n"
    )
    made = call(tmp_path, loud, tmp_path)
    with scratch_folder(made.log) as scratch, pytest.raises(VlmakeError, match="ValueError: quiet"):
        ask_class(made, "ask", scratch)
    text = made.log.read_text(encoding="utf-8")
    assert len(text) < MOST_LOGGED + 100_000
    assert "bytes of output are not kept" in text
    assert text.rstrip().endswith("ValueError: quiet")


def test_process_left_behind_by_a_class_is_ended(tmp_path: Path) -> None:
    """It would hold the output open, and the stage would wait for it."""
    lingering = (
        "import subprocess\n" + HEAD + "    def build_prompt(self, line):\n"
        "        child = subprocess.Popen(['sleep', '600'])\n"
        "        return [{'type': 'text', 'value': str(child.pid)}]\n"
    )
    made = call(tmp_path, lingering, tmp_path)
    with scratch_folder(made.log) as scratch:
        ask_class(made, "ask", scratch)
        asked = [json.loads(line) for line in (scratch / "rows.jsonl").read_text().splitlines()]
    for row in asked:
        state = Path(f"/proc/{row['messages'][0]['value']}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"


def test_rows_come_with_cells_as_text_and_absolute_paths(tmp_path: Path) -> None:
    made = call(tmp_path, HEAD + "    pass\n", tmp_path)
    with scratch_folder(made.log) as scratch:
        assert ask_class(made, "ask", scratch) == {"columns": ["index", "image_path", "question"]}
        asked = [json.loads(line) for line in (scratch / "rows.jsonl").read_text().splitlines()]
    assert [row["index"] for row in asked] == ["1", "2"]
    assert asked[0]["cells"] == {"index": "1", "image_path": "gone.png", "question": "What?"}
    image, question = asked[1]["messages"]
    assert question == {"type": "text", "value": "Where?"}
    assert Path(image["value"]).is_absolute()


def test_row_whose_image_cannot_be_used_is_marked_and_stops_nothing(tmp_path: Path) -> None:
    picks = (
        "    def build_prompt(self, line):\n"
        "        if line['index'] == 4:\n"
        "            return [dict(type='image', value='data:image/png;base64,' + line['image'])]\n"
        "        return super().build_prompt(line)\n"
    )
    made = call(tmp_path, HEAD + picks, tmp_path)
    good = text_of(RED)
    rows = [
        ["index", "image", "question", "group"],
        ["1", "@" * 80, "What?", "mine"],
        ["2", base64.b64encode(b"<html>" * 20).decode(), "What?", "mine"],
        ["3", good, "What?", "mine"],
        ["4", good, "What?", ""],
    ]
    write_tsv(made.tsv, rows)
    source = {"sha256": file_digest(made.tsv)}
    done = decode_class(made, source, tmp_path / "samples.parquet", tmp_path / "images.arrow")
    assert (done.rows, done.images, done.broken) == (4, 1, 2)
    samples = pq.read_table(tmp_path / "samples.parquet").to_pylist()
    errors = [row["image_error"] for row in samples]
    assert errors[0].startswith("broken base64: ")
    assert errors[1:] == ["not an image: an HTML page", None, None]
    with ImageStore(tmp_path / "images.arrow") as store:
        (digest,) = store
        assert store.bytes(digest) == png(RED)
    asked = [json.loads(row["messages"]) for row in samples]
    image = {"type": "image", "image": digest}
    assert asked == [[], [], [image, {"type": "text", "text": "What?"}], [image]]
    assert [row["group"] for row in samples] == ["row:1", "row:2", digest, digest]
    assert [row["tsv:group"] for row in samples] == ["mine", "mine", "mine", None]
    with pytest.raises(VlmakeError, match="changed after the download step"):
        decode_class(made, {"sha256": "0"}, tmp_path / "samples.parquet", tmp_path / "images.arrow")


RAW = "    def build_prompt(self, line):\n        return [dict(type='image', value=line['image_path'])]\n"
RELATIVE_DUMP = (
    "    def build_prompt(self, line):\n"
    "        return [dict(type='image', value=name) for name in self.dump_image(line)]\n"
)


@pytest.mark.parametrize("body", ["    pass\n", RAW, RELATIVE_DUMP], ids=["inherited", "own", "dump_image"])
def test_tsv_reaches_no_file_outside_the_folder_of_images(tmp_path: Path, body: str) -> None:
    made = call(tmp_path, HEAD + body, tmp_path)
    folder = tmp_path / "LMU" / "images" / "D"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "one.png").write_bytes(png(RED))
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(BLUE))
    (folder / "link.png").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "near.png").symlink_to("a/one.png")
    (folder / "circle.png").symlink_to("circle.png")
    inside = ["a/one.png", str(folder / "a" / "one.png"), "near.png", "gone.png"]
    # The second one leads there from the folder in which the class works.
    outside = ["../../../secret.png", "../../secret.png", str(secret), f"file://{secret}", "link.png", "up/secret.png"]
    names = [*inside, *outside, "circle.png", "a" * 5000]
    rows = [[str(number), name, "?"] for number, name in enumerate(names)]
    write_tsv(made.tsv, [["index", "image_path", "question"], *rows])
    done = decode_class(
        made, {"sha256": file_digest(made.tsv)}, tmp_path / "samples.parquet", tmp_path / "images.arrow"
    )
    assert (done.images, done.broken) == (1, len(names) - 3)
    errors = pq.read_table(tmp_path / "samples.parquet").column("image_error").to_pylist()
    assert errors[:4] == [None, None, None, f"missing file: {folder / 'gone.png'}"]
    for name, error in zip(outside, errors[4:-2], strict=True):
        assert "leads out of the image folder" in error or (name.startswith("file:") and error.startswith("missing"))
    assert all(error and "\n" not in error and len(error) < 700 for error in errors[-2:])
    with ImageStore(tmp_path / "images.arrow") as store:
        (digest,) = store
        assert store.bytes(digest) == png(RED)


def test_class_shows_what_it_made_and_what_lies_where_it_says(tmp_path: Path) -> None:
    shows = (
        "    def post_build(self, dataset): self.img_root = os.environ['LMUData'] + '/shared'\n"
        "    def build_prompt(self, line):\n"
        "        picture = Image.open(self.dump_image(line)[0])\n"
        "        os.makedirs('crops'); os.chdir('crops')\n"
        "        picture.crop((0, 0, 5, 5)).save('crop.png')\n"
        "        return ['crop.png', *self.dump_image(line)]\n"
    )
    made = call(tmp_path, HEAD + shows, tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "one.png").write_bytes(png(RED))
    (tmp_path / "LMU").mkdir()
    (tmp_path / "LMU" / "shared").symlink_to(tmp_path / "disk")
    write_tsv(made.tsv, [["index", "image_path", "question"], ["1", "one.png", "?"]])
    done = decode_class(
        made, {"sha256": file_digest(made.tsv)}, tmp_path / "samples.parquet", tmp_path / "images.arrow"
    )
    assert (done.images, done.broken) == (2, 0), done.first_broken
    with ImageStore(tmp_path / "images.arrow") as store:
        assert [store.info(digest).width for digest in store] == [5, 30]


def stage_with_sleeping_class(tmp_path: Path) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
    """Start a process that asks a class which sleeps, and has a process of its own that does; wait until they do."""
    waits = (
        "    def build_prompt(self, line):\n"
        "        import subprocess, time\n"
        "        print(os.getpid(), subprocess.Popen(['sleep', '600']).pid)\n"
        "        while True:\n"
        "            try: time.sleep(600)\n"
        "            except BaseException: pass\n"
    )
    made = call(tmp_path, HEAD + waits, tmp_path)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import click\n"
        "from vlmake.dataset_classes.process import *\n"
        "from vlmake.dataset_classes.source import class_name\n"
        "from vlmake.runs.program import run_program\n"
        f"here = Path({str(tmp_path)!r})\n"
        "call = ClassCall(class_name('mine:Mine', str(here)), 'D', here / 't.tsv', here / 'LMU', here / 'class.log')\n"
        "@click.command()\n"
        "def stage():\n"
        "    with scratch_folder(call.log) as scratch: ask_class(call, 'ask', scratch)\n"
        "run_program('decode_class', stage)\n"
    )
    stage = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    while not (made.log.is_file() and made.log.read_text().endswith("\n")):
        assert stage.poll() is None
        time.sleep(0.05)
    return stage, [psutil.Process(int(word)) for word in made.log.read_text().split()]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_interrupted_stage_ends_the_class_and_tidies_up(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    stage, processes = stage_with_sleeping_class(tmp_path)
    stage.send_signal(sent)
    _, complaint = stage.communicate(timeout=30)
    assert stage.returncode == code
    assert b"Traceback" not in complaint
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
    assert not list(tmp_path.glob(".class-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_killed_stage_takes_the_class_with_it_and_the_next_tidies_up(tmp_path: Path) -> None:
    stage, (child, sleeper) = stage_with_sleeping_class(tmp_path)
    stage.kill()
    stage.communicate()
    child.wait(30)
    sleeper.kill()  # what the class itself starts is ended by the stage, if that can still do so
    assert len(list(tmp_path.glob(".class-*"))) == 1
    with scratch_folder(tmp_path / "class.log") as scratch:
        assert list(tmp_path.glob(".class-*")) == [scratch]


def test_class_whose_stage_is_gone_already_is_not_started(tmp_path: Path) -> None:
    """The kernel ends a class with its stage only from the moment at which the class's process asks for it."""
    request = {"operation": "ask", "parent": psutil.Process().ppid()}
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "vlmake.dataset_classes.child", str(tmp_path)], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [file.name for file in tmp_path.iterdir()] == ["request.json"]
