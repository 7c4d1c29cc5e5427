"""Prompts equal to VLMEvalKit's, texts and order of parts, for every shipped benchmark with parity data."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, read_tsv
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Frames, Template, check_columns, question_text, render
from vlmake.registry.entries import prompt_template
from vlmake.registry.loading import load_registry, registry_folders

PARITY = REPOSITORY / "tests" / "data" / "parity"
REGISTRY = load_registry(registry_folders(current=Path("/")))
SETS = sorted(file.name.removesuffix(".prompts.jsonl") for file in PARITY.glob("*.prompts.jsonl"))


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
