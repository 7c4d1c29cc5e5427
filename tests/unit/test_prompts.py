"""Prompts equal to VLMEvalKit's, texts and order of parts, for every shipped benchmark with parity data."""

import json
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, read_tsv
from vlmake.prompts import multiple_choice_text, render
from vlmake.registry import load_registry, registry_folders

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
            ours = [part.get("text", part.get("image")) for part in render(entry.task, sample, images, entry.prompt)]
            assert ours == [part["value"] for part in message]
            compared += 1
    assert compared == len(expected) > 0


def test_hint_and_options_only_where_they_are() -> None:
    assert multiple_choice_text("Q?", {}) == "Question: Q?\n"
    assert multiple_choice_text("Q?", {"A": "x"}, "H") == (
        "Hint: H\nQuestion: Q?\nOptions:\nA. x\nPlease select the correct answer from the options above. \n"
    )


def test_braces_in_a_question_are_text() -> None:
    sample = {"question": "What is {question} or {0}?"}
    (part,) = render("vqa", sample, [], "{question}\nShort.")
    assert part["text"] == "What is {question} or {0}?\nShort."
