import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report_tree import HOSTILE, circular_tree, picture, yes_no_tree
from vlmake import paths
from vlmake.report import page
from vlmake.report.collect import collect_samples
from vlmake.report.page import render, write_page
from vlmake.report.pictures import LONGEST_SIDE, thumbnail
from vlmake.report.scores import read_score
from vlmake.report.text import pieces, visible

VOID = {"meta", "link", "br", "img", "input", "hr"}
ELEMENTS = set(
    """html head meta title link style body a header h1 h2 h3 h4 h5 h6 p main section article div ul ol li b em small br
    table thead tbody caption tr th td code span details summary dl dt dd mark figure figcaption footer
    svg line circle use defs image""".split()  # noqa: SIM905
)


class Page(HTMLParser):
    """Every element with its attributes, and the texts; knows whether elements are nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(work: Path) -> Page:
    text = "".join(render(work, work / "data"))
    text.encode("utf-8")
    return Page(text)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("tree")
    yes_no_tree(work, ("TinyVLM", "Other"))
    circular_tree(work)
    return work


@pytest.fixture
def work(tree: Path, tmp_path: Path) -> Path:
    shutil.copytree(tree, tmp_path / "work")
    return tmp_path / "work"


def test_hostile_texts_are_inert(tree: Path) -> None:
    found = rendered(tree)
    assert not found.faults and not found.open
    assert {tag for tag, _ in found.elements} <= ELEMENTS
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc", "action")], tag
        for name in ("href", "src", "xlink:href"):
            assert re.match(r"#|data:image/(png|jpeg);base64,|data:,$", attributes.get(name) or "#")
    assert len(found.all("style")) == 1
    policy = next(meta["content"] or "" for meta in found.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "<script>alert(1)</script>" in found.text
    assert "<script>alert(2)</script>" in found.text  # from the provenance
    assert "ConnectionError <script>" in found.text


def test_hidden_characters_are_written_out(tree: Path) -> None:
    raw = "".join(render(tree, tree / "data"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", raw)
    assert "⟨U+202E⟩oN⟨U+2067⟩" in raw
    assert "␛[31mYes␛[0m␀␇␍" in raw
    assert "👩‍👩‍👧" in raw  # joiners stay
    assert len(raw) < 400_000  # 100,000 letters of an answer are not on it
    assert "characters left out" in raw


def test_every_score_with_its_numbers(tree: Path) -> None:
    found = rendered(tree)
    assert "TinyVLM on YesNo: 4 of 24 samples unresolved; 1 bad image; 1 model error" in found.text
    for name in ("vlmevalkit-main", "vlmevalkit-ms", "strict", "perception + reasoning", "Table “vanilla”", "not run"):
        assert name in found.text
    score = read_score(tree, "TinyVLM", "YesNo").configured
    assert score.accuracy and score.accuracy.low
    assert f"[{100 * score.accuracy.low:.1f}," in found.text
    assert f"{score.overall.value:.2f}" in found.text


def test_samples_of_a_yes_no_benchmark(tree: Path) -> None:
    score = read_score(tree, "TinyVLM", "YesNo")
    samples = next(collect_samples(tree, tree / "data", [score]))
    assert samples.missing is None
    right, wrong, none = (samples.by_verdict[verdict] for verdict in ("right", "wrong", "open"))
    assert all(sample.hit == 1 and sample.found for sample in right)
    assert [int(sample.index) for sample in wrong] == sorted(int(sample.index) for sample in wrong)
    assert len(wrong) == 10
    assert [sample.index for sample in none][:3] == ["5", "7", "9"]
    first = right[0]
    assert first.prediction and first.span
    assert first.prediction[slice(*first.span)].lower() == (first.extracted or "").lower()
    assert first.prompt == f"Is there a <b>circle</b> {first.index}? Please answer yes or no."
    assert isinstance(none[0].pictures[0], str)


def test_circular_samples_are_the_main_rows(tree: Path) -> None:
    score = read_score(tree, "TinyVLM", "Circular")
    by_verdict = next(collect_samples(tree, tree / "data", [score])).by_verdict
    assert {verdict: [sample.index for sample in group] for verdict, group in by_verdict.items()} == {
        "right": ["1"],
        "wrong": ["2"],
        "open": [],
    }
    assert by_verdict["wrong"][0].hit == 1
    assert by_verdict["right"][0].options == {"A": "red", "B": "blue"}
    assert "Please select the correct answer" in (by_verdict["right"][0].prompt or "")
    assert "no: right as shown, wrong in another" in rendered(tree).text


def test_a_picture_is_on_the_page_once(tree: Path) -> None:
    found = rendered(tree)
    uris = [image["href"] for image in found.all("image")]
    assert len(uris) == len(set(uris)) == 12  # one of Circular; one of YesNo belongs to no sample that is shown
    ids = {image["id"] for image in found.all("image")}
    assert {(use["href"] or "")[1:] for use in found.all("use")} == ids
    shown = [svg for svg in found.all("svg") if svg.get("role") == "img"]
    assert shown and all((svg["aria-label"] or "").startswith("Picture 1 of sample") for svg in shown)


def test_every_link_leads_somewhere(tree: Path) -> None:
    found = rendered(tree)
    anchors = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    used = {(attributes["href"] or "")[1:] for attributes in found.all("a")}
    used |= {attributes["aria-labelledby"] for _, attributes in found.elements if "aria-labelledby" in attributes}
    assert used <= set(anchors)
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_without_decoded_data(work: Path) -> None:
    shutil.rmtree(work / "data")
    found = rendered(work)
    assert "Picture not available: decoded benchmark not there" in found.text
    assert "<script>alert(1)</script>" in found.text
    assert not found.all("image")


def test_images_file_alone_is_gone(work: Path) -> None:
    (work / paths.images("YesNo")).write_bytes(b"ARROW1\0\0garbage")
    text = rendered(work).text
    assert "Picture not available: decoded images not there" in text
    assert "Is there a <b>circle</b> 0?" in text


def test_broken_files_are_named(work: Path) -> None:
    (work / paths.score_json("Other", "YesNo")).write_text('{"metric": "mme", "protocol": NaN, <script>')
    judged = work / paths.judged("TinyVLM", "Circular")
    judged.write_bytes(b"PAR1 no parquet")
    (work / paths.predictions("TinyVLM", "YesNo")).unlink()
    found = rendered(work)
    assert "1 score file could not be read" in found.text
    assert "results/Other/YesNo_score.json is no score file" in found.text
    assert "results/TinyVLM/Circular_judged.parquet cannot be read" in found.text
    assert "results/TinyVLM/YesNo_predictions.parquet cannot be read: it is not there" in found.text
    assert not found.faults


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "unheard"},
        {"protocols": {}},
        {"samples": None},
        {"samples": {"total": "many", "by_status": {}}},
        {"protocols": {"vlmevalkit-main": {"columns": ["a"], "rows": [[1, 2]]}}},
        {"protocols": {"vlmevalkit-main": {"columns": ["a"], "rows": [[[1]]]}}},
        {"metric": "\ud800"},
    ],
)
def test_scores_of_another_shape_are_named(work: Path, change: dict[str, object]) -> None:
    file = work / paths.score_json("Other", "YesNo")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert "results/Other/YesNo_score.json is no score file" in rendered(work).text


def test_limits_are_said(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SCORES_WITH_SAMPLES", 1)
    monkeypatch.setattr(page, "SCORES_WITH_SECTION", 2)
    monkeypatch.setattr(page, "PICTURE_BYTES", 10)
    found = rendered(work)
    assert "samples are shown for the first 1 and left out" in found.text
    assert "Samples are left out: the page shows them for the first 1 scores." in found.text
    assert "more than 2 scores" in found.text
    assert len(found.all("article")) == 2
    assert "Picture left out: this page is full." in found.text
    assert not found.all("image")


def test_a_row_limit_in_the_name(work: Path) -> None:
    for name in (paths.score_json, paths.judged, paths.predictions):
        shutil.copy(work / name("TinyVLM", "YesNo"), work / name("TinyVLM", "YesNo@24"))
    found = rendered(work)
    assert "TinyVLM on YesNo@24" in found.text
    assert len(found.all("image")) == 12


def test_equal_scores_give_equal_bytes(work: Path) -> None:
    target = work / paths.REPORT
    write_page(target, work, work / "data")
    assert [file.name for file in target.parent.iterdir()] == ["index.html"]
    write_page(work / "again.html", work, work / "data")
    assert (work / "again.html").read_bytes() == target.read_bytes()


def test_program(work: Path) -> None:
    script = paths.scripts() / "report.py"
    command = [sys.executable, str(script), "--data-dir", "data", "--page", paths.REPORT]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
    assert "TinyVLM on YesNo" in Page((work / paths.REPORT).read_text(encoding="utf-8")).text


def test_no_scores(tmp_path: Path) -> None:
    assert "There are no scores" in rendered(tmp_path).text


def test_starts_without_torch() -> None:
    code = (
        "import sys, vlmake.report.page, vlmake.runs.terminal, vlmake.scoring.summary; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thumbnails_are_small_and_never_enlarged() -> None:
    large = thumbnail("d", picture(1, (2000, 500)))
    assert (large.width, large.height) == (LONGEST_SIDE, 80)
    assert (large.original_width, large.original_height) == (2000, 500)
    small = thumbnail("d", picture(1))
    assert (small.width, small.height) == (96, 64)
    assert small.uri.startswith("data:image/png;base64,")


@given(st.text(), st.integers(-5, 60), st.integers(-5, 60))
def test_pieces_keep_a_short_text(text: str, start: int, end: int) -> None:
    found = pieces(text, (start, end))
    if "\r\n" not in text:  # a line end that the span cuts in two is written out
        assert "".join(piece.text for piece in found) == visible(text)
    marks = [piece.text for piece in found if piece.kind == "mark"]
    assert marks == ([visible(text[start:end])] if 0 <= start < end <= len(text) else [])


@given(st.integers(0, 99_990), st.integers(1, 10))
def test_a_long_text_keeps_its_span(start: int, length: int) -> None:
    text = "a" * start + "B" * length + "a" * (100_000 - start - length)
    found = pieces(text, (start, start + length))
    assert "".join(piece.text for piece in found if piece.kind == "mark") == "B" * length
    shown = sum(len(piece.text) for piece in found if piece.kind != "cut")
    left_out = sum(int(piece.text.split()[0].replace(",", "")) for piece in found if piece.kind == "cut")
    assert shown + left_out == 100_000
    assert shown <= 3_000


def test_all_hostile_texts_survive_the_trip() -> None:
    for text in HOSTILE:
        assert visible(text) == visible(visible(text))
