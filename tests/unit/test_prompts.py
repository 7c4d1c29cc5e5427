"""Prompts equal to VLMEvalKit's, texts and order of parts, for every shipped benchmark with parity data."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, read_tsv
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Frames, Items, Piece, Template, check_columns, places, question_text, render
from vlmake.registry.dataset_entries import prompt_template
from vlmake.registry.loading import load_registry, registry_folders

PARITY = REPOSITORY / "tests" / "data" / "parity"
REGISTRY = load_registry(registry_folders(current=Path("/")))
SETS = sorted(file.name.removesuffix(".prompts.jsonl") for file in PARITY.glob("*.prompts.jsonl"))
BY_ROW = REPOSITORY / "tests" / "data" / "prompts"
"""A file a benchmark: made-up rows that reach every branch of VLMEvalKit's ``build_prompt``, and its messages."""


def test_there_is_parity_data() -> None:
    assert {"MME", "POPE", "HallusionBench", "AMBER", "MMBench_DEV_EN", "OCRVQA_TESTCORE"} <= set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_prompts_equal_the_peers(name: str) -> None:
    entry = REGISTRY.dataset(name)
    header, *rows = read_tsv(PARITY / f"{name}.tsv")
    lines = (PARITY / f"{name}.prompts.jsonl").read_text(encoding="utf-8").splitlines()
    expected = {str(line["index"]): line["message"] for line in map(json.loads, lines)}
    compared = 0
    for row in rows:
        sample = {column: cell or None for column, cell in zip(header, row, strict=True)}
        if sample["index"] in expected:
            message = expected[sample["index"]]
            images = [part["value"] for part in message if part["type"] == "image"]
            ours = [part.get("text", part.get("image")) for part in render(prompt_template(entry), sample, images)]
            assert ours == [part["value"] for part in message]
            compared += 1
    assert compared == len(expected) > 0


@pytest.mark.parametrize("name", sorted(file.stem for file in BY_ROW.glob("*.jsonl")))
def test_prompts_by_row_equal_the_peers(name: str) -> None:
    template = prompt_template(REGISTRY.dataset(name))
    lines = [json.loads(line) for line in (BY_ROW / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        check_columns(line["row"], template)
        theirs = [(part["type"], part["value"]) for part in line["message"] if part["value"]]  # an empty text is none
        ours = [(part["type"], part[part["type"]]) for part in render(template, line["row"], line["images"])]
        assert ours == theirs
    assert lines


def test_every_case_of_a_known_prompt_is_compared() -> None:
    """An entry whose prompt depends on the row shares its template with one that is compared."""
    compared = [prompt_template(REGISTRY.dataset(file.stem)) for file in BY_ROW.glob("*.jsonl")]
    known = {name: entry for name, entry in REGISTRY.datasets.items() if entry.prompt_source == "vlmevalkit"}
    by_row = [name for name, entry in known.items() if entry.pieces or not isinstance(entry.image_order, str)]
    assert len(by_row) > 40
    assert [name for name in by_row if prompt_template(known[name]) not in compared] == []


def test_no_prompt_shows_the_right_answer() -> None:
    for name, entry in REGISTRY.datasets.items():
        assert not {"answer", "answers"} & prompt_template(entry).columns(), name


CHOICE = Template("multiple_choice")


def texts(parts: list[dict[str, str]]) -> list[str]:
    return [part.get("text", part.get("image", "")) for part in parts]


def test_hint_and_options_only_where_they_are() -> None:
    assert question_text(CHOICE, {"question": "Q?"}) == "Question: Q?\n"
    assert question_text(CHOICE, {"question": "Q?", "A": "x", "hint": "H"}) == (
        "Hint: H\nQuestion: Q?\nOptions:\nA. x\nPlease select the correct answer from the options above. \n"
    )


def test_braces_in_a_question_are_text() -> None:
    sample = {"question": "What is {question} or {0} or {hint}?", "hint": "{question}"}
    (part,) = render(Template("vqa", "{question}\nShort. {final answer}"), sample, [])
    assert part["text"] == "What is {question} or {0} or {hint}?\nShort. {final answer}"
    assert question_text(CHOICE, sample | {"A": "{letter}"}).startswith(
        "Hint: {question}\nQuestion: What is {question}"
    )
    assert "A. {letter}\n" in question_text(CHOICE, sample | {"A": "{letter}"})


def test_a_frame_may_show_another_column() -> None:
    template = Template("vqa", "{caption}: {question}")
    assert template.columns() >= {"caption", "question"}
    assert question_text(template, {"question": "Q?", "caption": "C"}) == "C: Q?"
    assert question_text(template, {"question": "Q?", "caption": None}) == ": Q?"


def test_choices_and_options_have_frames_of_their_own() -> None:
    template = Template(
        "multiple_choice", "{question}\n{choices}", "Options: {options}\nLetter only.", "{letter}: {text}, "
    )
    assert question_text(template, {"question": "Q?", "A": "x", "C": "z"}) == "Q?\nOptions: A: x, C: z, \nLetter only."


def test_images_go_where_the_frame_has_them() -> None:
    assert texts(render(Template("vqa", "Look:{images}{question}"), {"question": "Q?"}, ["1", "2"])) == [
        "Look:",
        "1",
        "2",
        "Q?",
    ]
    assert texts(render(Template("vqa"), {"question": "Q?"}, ["1", "2"])) == ["1", "2", "Q?"]
    assert texts(render(Template("vqa", image_order="last"), {"question": "Q?"}, ["1"])) == ["Q?", "1"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("<image 2> or <image 1>?", ["two", " or ", "one", "?"]),
        ("Both <image 1><image 1>.", ["Both ", "one", "one", "."]),
        ("Which <image 3>?", ["one", "two", "Which <image 3>?"]),  # no such image: it stays text
        ("No mark.", ["one", "two", "No mark."]),
        ("See <image 1> and <image 9>.", ["See ", "one", " and <image 9>."]),
    ],
)
def test_numbered_images_stand_at_their_marks(question: str, expected: list[str]) -> None:
    template = Template("vqa", image_order="numbered")
    assert texts(render(template, {"question": question}, ["one", "two"])) == expected


def test_images_in_order_stand_at_theirs() -> None:
    template = Template("vqa", image_order="in_order")
    assert texts(render(template, {"question": "<image> A <image> B <image>"}, ["1", "2"])) == [
        "1",
        " A ",
        "2",
        " B <image>",
    ]


def test_a_model_moves_images_and_adds_a_suffix_but_leaves_interleaved_ones() -> None:
    frames = Frames(suffix=" Answer briefly.", image_order="last")
    assert texts(render(Template("vqa"), {"question": "Q?"}, ["1"], frames)) == ["Q? Answer briefly.", "1"]
    numbered = Template("vqa", image_order="numbered")
    assert texts(render(numbered, {"question": "Is <image 1> it?"}, ["1"], frames)) == [
        "Is ",
        "1",
        " it? Answer briefly.",
    ]


def test_a_models_choice_frame_replaces_the_benchmarks_and_speaks_chinese() -> None:
    frames = Frames(
        choice="{hint}{question}{options}\nLetter.", choice_chinese="{hint_line}{question}{options}\n字母。"
    )
    assert (
        question_text(CHOICE, {"question": "Q?", "A": "x", "B": "y", "hint": "H"}, frames)
        == "H\nQ?\nA. x\nB. y\nLetter."
    )
    assert question_text(CHOICE, {"question": "几？", "A": "x"}, frames) == "几？\nA. x\n字母。"


def test_a_benchmark_without_questions_asks_its_own() -> None:
    caption = Template("caption", question="Describe.")
    check_columns(["index", "answer"], caption)
    assert question_text(caption, {"answer": "[]"}) == "Describe."
    with pytest.raises(VlmakeError, match="no column 'question'"):
        check_columns(["index", "answer"], Template("vqa"))
    check_columns(["index"], Template("vqa", "{images}Read all text."))


def piece(by: str, *cases: tuple[str, str], otherwise: str | None = None, absent: str | None = None) -> Piece:
    return Piece(by=by, cases=cases, otherwise=otherwise, absent=absent, separator=None, join="")


def test_a_column_chooses_a_text() -> None:
    kind = piece("kind", ("*yes*", "Yes or no?"), ("*", "{choice}"), absent="")
    choice = piece("kind", ("mcq", "A letter, {question}."), otherwise="Free.")
    template = Template("vqa", "{question}{wish}", pieces={"choice": choice, "wish": kind})
    assert template.columns() >= {"kind", "question"}
    wishes = {"a yes or no": "Q {wish}Yes or no?", "mcq": "Q {wish}A letter, Q {wish}.", "open": "Q {wish}Free."}
    for cell, expected in {**wishes, None: "Q {wish}"}.items():
        assert question_text(template, {"question": "Q {wish}", "kind": cell}) == expected


def test_each_value_of_a_cell_may_have_its_text() -> None:
    kinds = {**piece("kinds", ("num*", "a number"), ("text", "a word")), "separator": ",", "join": ", then "}
    template = Template("vqa", "{question} {kinds}.", pieces={"kinds": Piece(**kinds)})
    assert question_text(template, {"question": "Q", "kinds": "text,number"}) == "Q a word, then a number."
    with pytest.raises(VlmakeError, match="its 'kinds' is 'text,list'"):
        question_text(template, {"question": "Q", "kinds": "text,list"})


@pytest.mark.parametrize(("cell", "found"), [("a list", "'a list'"), (None, "empty")])
def test_a_cell_that_no_case_fits_is_an_error(cell: str | None, found: str) -> None:
    template = Template(
        "vqa", "{question}{form}", pieces={"form": piece("type", ("open", "Free."), ("mcq", "Letter."))}
    )
    with pytest.raises(VlmakeError, match=f"row 7: its 'type' is {found}, and the prompt is known for open, mcq only"):
        render(template, {"index": "7", "question": "Q", "type": cell}, [])
    with pytest.raises(VlmakeError, match="no column 'type'"):
        check_columns(["index", "question"], template)


def test_a_column_chooses_where_images_go() -> None:
    order = piece("kind", ("text", "none"), ("marked", "only_at_marks"), otherwise="last")
    template = Template("vqa", image_order=order)
    asked = {
        kind: texts(render(template, {"question": "Is <image> it?", "kind": kind}, ["1", "2"]))
        for kind in ("text", "marked", "other")
    }
    assert asked == {
        "text": ["Is <image> it?"],
        "marked": ["Is ", "1", " it?"],
        "other": ["Is <image> it?", "1", "2"],
    }


def test_marks_without_an_image_vanish_where_images_stand_at_marks_only() -> None:
    template = Template("vqa", image_order="only_at_marks", text_parts="stripped")
    assert texts(render(template, {"question": " A <image>\n<image> B <image> C"}, ["1"])) == ["A", "1", "B", "C"]
    assert texts(render(template, {"question": "A "}, ["1"])) == ["A"]


@pytest.mark.parametrize(
    ("mark", "question", "expected"),
    [
        ("<image_{number}>", "<image_2>, <image_1>, <image_3>", ["two", ", ", "one", ", <image_3>"]),
        ("<IMAGE_{number0}>", "<IMAGE_1>, <IMAGE_0>", ["two", ", ", "one"]),
        ("<Here.>", "<Here.><Here!><Here.>", ["one", "<Here!>", "two"]),
    ],
)
def test_images_may_be_marked_otherwise(mark: str, question: str, expected: list[str]) -> None:
    template = Template("vqa", image_order="numbered", image_mark=mark)
    assert texts(render(template, {"question": question}, ["one", "two"])) == expected


def test_blank_texts_between_images_may_be_dropped() -> None:
    sample = {"question": "<image> <image>\nA "}
    kept = Template("vqa", image_order="in_order")
    assert texts(render(kept, sample, ["1", "2"])) == ["1", " ", "2", "\nA "]
    dropped = Template("vqa", image_order="in_order", text_parts="not_blank")
    assert texts(render(dropped, sample, ["1", "2"])) == ["1", "2", "\nA "]


def test_a_break_starts_a_text_part() -> None:
    template = Template("vqa", "Look.{images}{question}{break}Think.")
    assert texts(render(template, {"question": "Q?"}, ["1"])) == ["Look.", "1", "Q?", "Think."]
    assert question_text(template, {"question": "Q?"}) == "Look.Q?Think."


def test_doubled_braces_are_no_place() -> None:
    template = Template("vqa", r"{question} \boxed{{answer}} \boxed{{{answer}}} {answers}")
    assert template.columns() & {"answer", "answers"} == {"answers"}
    sample = {"question": "Q", "answer": "42"}
    assert question_text(template, sample) == r"Q \boxed{answer} \boxed{{answer}} {answers}"
    assert places("{a}{{b}}{{{c}}}") == ["a"]


@pytest.mark.parametrize(
    ("pattern", "cell", "expected"),
    [
        (None, '["x", "it\'s"]', "Q: A. x B. it's "),
        (None, "[7, 2.5]", "Q: A. 7 B. 2.5 "),
        (None, None, "Q: "),
        (None, "[]", "Q: "),
        ("'(.*?)'", "'x' and 'y'", "Q: A. x B. y "),
    ],
)
def test_one_column_may_list_the_options(pattern: str | None, cell: str | None, expected: str) -> None:
    listed = Items(column="options", pattern=pattern)
    template = Template("multiple_choice", "{question}: {options}", option="{letter}. {text} ", options_from=listed)
    sample = {"question": "Q", "options": cell, "A": "not this"}
    assert question_text(template, sample) == expected
    frames = Frames(choice="{question}{options}", choice_chinese="中{question}")
    assert question_text(template, sample | {"options": "['猫']"}, frames) == "中Q"


def test_options_that_are_no_list_are_an_error() -> None:
    template = Template("multiple_choice", options_from=Items(column="options", pattern=None))
    with pytest.raises(VlmakeError, match="row 3: its 'options' lists no options: \"__import__"):
        render(template, {"index": "3", "question": "Q", "options": "__import__('os').abort()"}, [])
    with pytest.raises(VlmakeError, match="no column 'options'"):
        check_columns(["question", "A"], template)


def test_parts_of_another_cell_go_into_the_question_and_texts_are_replaced_last() -> None:
    template = Template(
        "vqa",
        replace=(("<br>", "\n"), ("\nB", "\nC")),
        inserts={"column": "more", "separator": ";", "mark": "<MORE_{number0}>"},
    )
    assert template.columns() == {"question", "hint", "more"}
    sample = {"question": "A<br>B <MORE_1> <MORE_0> <MORE_2>", "more": "x;<br>B"}
    assert question_text(template, sample) == "A\nC \nC x <MORE_2>"
    assert question_text(template, {"question": "<MORE_0>", "more": None}) == "<MORE_0>"
