"""Options that go to Snakemake: what it would refuse is one line before anything is done."""

import sys

import pytest

from vlmake.errors import VlmakeError
from vlmake.runs.snakemake_options import check_options


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--nonsense", "^unknown option '--nonsense'$"),
        ("--vesrion", r"^unknown option '--vesrion'; did you mean '--version'\?$"),
        ("--cores 2 --keepgoing", r"did you mean '--keep-going'\?$"),
        ("MyModel MyBench", "^'MyModel' is neither an option nor a result file: name models with --model"),
        ("--cores 0", "^with no core at all nothing can run"),
        ("-c0", "^with no core at all nothing can run"),
        ("--cores many", "must be integer or 'all'"),
        ("--cores", "expected one argument"),
        ("--resources gpu", "^Snakemake cannot read '--resources gpu'"),
        ("--resources gpu=x", "'gpu' was given value 'x'"),
        ("--executor nowhere", "invalid choice: 'nowhere'"),
        ("--profile nowhere", "^profile directory given \\(nowhere\\)"),
    ],
)
def test_what_snakemake_refuses_is_one_line(words: str, expected: str) -> None:
    with pytest.raises(VlmakeError, match=expected):
        check_options(words.split())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--cores 2 --resources gpu=4 mem=1 -n",
        "--config limit=3 hub=path",
        "--forcerun infer -c2",
        "--quiet all",
        "-h",
    ],
)
def test_what_it_takes_is_left_to_it(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    check_options(words.split())
    assert capfd.readouterr() == ("", "")


def test_plain_options_cost_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snakemake", None)  # an import of it would fail
    check_options(["--cores", "8", "--resources", "gpu=4", "-n"])
    with pytest.raises(ImportError):
        check_options(["--quiet", "all"])
