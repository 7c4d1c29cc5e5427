"""Every family of native architectures runs by the same path: real classes of transformers with random weights."""

import io
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import checkpoints
from tests.checkpoints import FAMILIES, Family
from vlmake.backends import load
from vlmake.backends.base import Backend, Output, Request, Turn
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry

TOKENS = 6


def picture(seed: int, width: int, height: int) -> bytes:
    """A picture of sixteen coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {
    "a": picture(1, 40, 30), "b": picture(2, 40, 30), "c": picture(3, 40, 30), "d": picture(4, 40, 30),
    "wide": picture(5, 90, 30), "tall": picture(6, 24, 70),
}  # fmt: skip


def turn(role: Any, *parts: str) -> Turn:
    """A turn from texts and, with an @ in front, pictures."""
    kinds = [("image", part[1:]) if part.startswith("@") else ("text", part) for part in parts]
    return Turn(role, [{"type": kind, kind: value} for kind, value in kinds])


def ask(*parts: str, earlier: Sequence[Turn] = (), **pixels: object) -> Request:
    return Request([*earlier, turn("user", *parts)], PICTURES, TOKENS, pixels)


def earlier(answer: str) -> list[Turn]:
    return [turn("user", "@a", "What is this?"), turn("assistant", answer)]


REQUESTS = {
    "one": ask("@a", "What is this?"),
    "two": ask("@a", "@b", "Which of the two, or is it neither? A long question, so that padding is needed."),
    "three": ask("@a", "@wide", "@b", "Which?"),
    "interleaved": ask("First", "@a", "then", "@b", "what?"),
    "text": ask("No picture at all."),
    "wide": ask("@wide", "What is this?"),
    "tall": ask("@tall", "Hm?"),
    "chat": ask("And now?", earlier=earlier("A cat.")),
    "frames": ask(*(f"@{name}" for name in "abcdacdb"), "What happens?"),
}


def open_backend(folder: Path, **settings: object) -> Backend:
    entry = TransformersEntry.model_validate({"path": str(folder), "dtype": "float32", "device": "cpu", **settings})
    return load(TransformersSpec("Tiny", entry, folder, "local:x", "float32"), RuntimeOptions("cpu"))


def answers(backend: Backend, requests: Sequence[Request]) -> list[Output]:
    return backend.generate(backend.prepare(requests))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build each family's checkpoint once."""
    built: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in built:
            built[name] = checkpoints.build(name, tmp_path_factory.mktemp(name))
        return built[name]

    return find


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def backend(family: str, folder: Callable[[str], Path]) -> Backend:
    return open_backend(folder(family), chat_template=FAMILIES[family].chat_template)


def requests_for(family: Family) -> dict[str, Request]:
    return {name: request for name, request in REQUESTS.items() if name != "text" or family.text_only}


def test_mixed_batch_equals_single_samples(backend: Backend, family: str) -> None:
    requests = requests_for(FAMILIES[family])
    singles = {name: answers(backend, [request])[0] for name, request in requests.items()}
    assert dict(zip(requests, answers(backend, list(requests.values())), strict=True)) == singles
    backwards = dict(reversed(requests.items()))
    assert dict(zip(backwards, answers(backend, list(backwards.values())), strict=True)) == singles
    assert len({output.text for output in singles.values()}) > len(singles) / 2
    assert singles["one"].prompt_tokens < singles["chat"].prompt_tokens


def test_questions_on_one_picture_equal_single_samples(backend: Backend) -> None:
    requests = [ask("@a", "What is this?"), ask("@b", "Hm?"), ask("@a", "Is it a very small cat?"), ask("@a", "Red?")]
    singles = [answers(backend, [request])[0] for request in requests]
    for _ in range(2):  # the first batch may compare its ways, the second takes the fastest
        assert answers(backend, requests) == singles


QUESTIONS = ["What happens?", "Who is it?", "Which color?", "How many?"]


def replies(backend: Backend, asked: Callable[[str], Request]) -> list[Output]:
    """Several questions about the same thing: random weights may answer one of them alike for any picture."""
    return answers(backend, [asked(question) for question in QUESTIONS])


def test_pictures_reach_the_model(backend: Backend) -> None:
    told = [replies(backend, lambda question, name=name: ask(f"@{name}", question)) for name in "abcd"]
    assert all(len({output.prompt_tokens for output in same}) == 1 for same in zip(*told, strict=True))
    assert all(first != second for first, second in combinations(told, 2)), "two pictures get the same answers"


def test_all_frames_reach_the_model_in_order(backend: Backend) -> None:
    films = ["abcdacdb", "ddddacdb", "abcdbbbb", "bdcadcba"]  # the film, either half of it changed, backwards
    first, *others = [
        replies(backend, lambda question, film=film: ask(*(f"@{name}" for name in film), question)) for film in films
    ]
    assert first not in others, "two films get the same answers"


def test_earlier_turns_reach_the_model(backend: Backend) -> None:
    said = ["A cat.", "A dog!", "A bus.", "7 7 7."]
    told = [replies(backend, lambda question, text=text: ask(question, earlier=earlier(text))) for text in said]
    assert all(first != second for first, second in combinations(told, 2)), "two conversations get the same answers"


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.text_only])
def test_prompt_without_a_picture_is_refused_where_the_model_needs_one(
    folder: Callable[[str], Path], name: str
) -> None:
    backend = open_backend(folder(name), chat_template=FAMILIES[name].chat_template)
    for requests in ([REQUESTS["text"]], [REQUESTS["one"], REQUESTS["text"]]):
        with pytest.raises(ValueError, match="`images` are expected"):
            answers(backend, requests)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [("qwen2_vl", {"max_pixels": 2048}), ("internvl", {"max_patches": 2}), ("idefics3", {"longest_edge": 32})],
)
def test_pixel_budget_of_a_request_equals_that_of_the_model(
    folder: Callable[[str], Path], name: str, pixels: dict[str, object]
) -> None:
    plain = open_backend(folder(name))
    budgeted = open_backend(folder(name), pixels=pixels)
    default, asked = ask("@wide", "What is this?"), ask("@wide", "What is this?", **pixels)
    small = answers(budgeted, [default])
    assert answers(plain, [asked]) == small
    assert small[0].prompt_tokens < answers(plain, [default])[0].prompt_tokens
    assert answers(plain, [default, asked])[1] == small[0]
