import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.report_tree import circular_tree, yes_no_tree
from vlmake import paths
from vlmake.runs.terminal import print_scores

MME = """perception reasoning OCR artwork celebrity color count existence landmark position posters scene
       code_reasoning commonsense_reasoning numerical_calculation text_translation""".split()  # noqa: SIM905


def put(
    work: Path,
    model: str,
    dataset: str,
    columns: list[str],
    rows: list[list[Any]],
    metric: str = "mme",
    unresolved: int = 0,
    **by_status: int,
) -> None:
    numbers = {
        "columns": columns,
        "rows": rows,
        "overall": {"name": "Overall", "value": 1.0, "n": 440},
        "accuracy": {"value": 0.5, "n": 440, "low": 0.25, "high": 0.75, "method": "wilson-95"},
        "extraction": {"found": 440 - unresolved, "unresolved": unresolved},
    }
    content = {
        "metric": metric,
        "protocol": "vlmevalkit-main",
        "judge": "exact_matching",
        "protocols": {"vlmevalkit-main": numbers},
        "samples": {"total": 440, "by_status": {"ok": 440 - sum(by_status.values())} | by_status},
    }
    file = work / paths.score_json(model, dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def printed(work: Path, width: int = 80, **console: Any) -> str:
    text = StringIO()
    print_scores(paths.present_scores(work), work, Console(file=text, width=width, **console))
    return text.getvalue()


def test_mme_in_two_lines_of_eight(tmp_path: Path) -> None:
    put(tmp_path, "TinyVLM", "MME", MME, [[123.456] * 16])
    text = printed(tmp_path, width=120)
    assert "MME  protocol vlmevalkit-main · n = 440" in text
    assert text.count("123.46") == 16
    lines = [line for line in text.splitlines() if "123.46" in line]
    assert [line.count("123.46") for line in lines] == [8, 8]
    assert "accuracy 50.0 %, 95 % interval 25.0 to 75.0" in text
    assert "!" not in text


def test_a_blank_line_stands_below_several_rows_and_not_below_one(tmp_path: Path) -> None:
    put(tmp_path, "A", "One", ["Overall"], [[70.0]])
    put(tmp_path, "A", "Two", ["split", "Overall"], [["x", 70.0], ["y", 60.0]])
    put(tmp_path, "A", "Wide", MME, [[1.0] * 16])
    lines = [line.strip() for line in printed(tmp_path, width=100).splitlines()]
    below = [lines[place - 1] for place, line in enumerate(lines) if line.startswith("accuracy")]
    assert ["".join(line.split()[:1]) for line in below] == ["A", "", "A"]
    one, other = [place for place, line in enumerate(lines) if line.startswith("A ")][-2:]
    assert "" in lines[one:other], "blocks of one table stand apart"
    assert not [line for line in printed(tmp_path).splitlines() if line and not line.strip()], "no line of blanks"


@pytest.mark.parametrize("width", [80, 100, 40, 30])
def test_fits_the_terminal(tmp_path: Path, width: int) -> None:
    for model in ("TinyVLM", "InternVL2_5-78B-MPO-AWQ-of-a-long-name"):
        put(tmp_path, model, "MME", MME, [[1234.5] * 16], unresolved=3, bad_image=1)
    text = printed(tmp_path, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("1234.50") == 32
    assert "3 of 440 samples unresolved; 1 bad_image" in " ".join(text.split()) or width < 80


def test_a_line_a_split_and_nulls_as_dashes(tmp_path: Path) -> None:
    rows = [["Overall", 70.0, None], ["random", 60.125, 1.0], ["popular", 50, 2.0]]
    put(tmp_path, "A", "POPE", ["split", "Overall", "acc"], rows, metric="pope")
    put(tmp_path, "B", "POPE", ["split", "Overall", "acc"], rows, metric="pope")
    lines = [line.split() for line in printed(tmp_path).splitlines()]
    assert ["A", "Overall", "70.00", "–"] in lines
    assert ["random", "60.12", "1.00"] in lines
    assert ["popular", "50", "2.00"] in lines
    assert ["B", "Overall", "70.00", "–"] in lines


def test_fractions_stay_fractions(tmp_path: Path) -> None:
    circular_tree(tmp_path)
    text = printed(tmp_path)
    assert "split circular_dev" in text
    assert ["TinyVLM", "0.5000", "0.5000"] in [line.split() for line in text.splitlines()]


def test_no_escape_sequences_in_a_pipe_and_colour_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yes_no_tree(tmp_path)
    print_scores(paths.present_scores(tmp_path), tmp_path)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "unresolved; 1 bad_image; 1 model_error" in " ".join(out.split())
    assert "\x1b[" in printed(tmp_path, force_terminal=True, color_system="standard")


def test_hostile_names_and_broken_files(tmp_path: Path) -> None:
    put(tmp_path, "A", "X", ["b" * 300, "[bold]a[/bold]\x1b[31m\u202e"], [[1.0, 2.0]])
    put(tmp_path, "B", "X", ["a"], [[1.0, 2.0]])
    (tmp_path / "results/C").mkdir()
    (tmp_path / "results/C/X_score.json").write_text("[" * 100_000)
    text = printed(tmp_path)
    assert "\x1b" not in text and "\u202e" not in text
    assert "[bold]a[/bold]␛[31m⟨U+20" in text  # where a name of that length folds
    assert "! results/B/X_score.json is no score file" in text
    assert "! results/C/X_score.json is no score file" in text


def test_nothing_to_print(tmp_path: Path) -> None:
    assert printed(tmp_path) == ""
