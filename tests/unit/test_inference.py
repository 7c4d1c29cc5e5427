"""Answering questions with backends that are real Python objects and fail in real ways."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from vlmake.backends.base import Output, Request
from vlmake.errors import VlmakeError
from vlmake.images import ImageError
from vlmake.inference import Asking, Question, accepted_predictions, answer, make_question, refuse_failures, unanswered
from vlmake.journal import JournalWriter, epoch_of, settle_epoch, start_epoch

ASKING = Asking("model digest", max_new_tokens=8)


class Echo:
    """Answers with the prompt; refuses texts and images that are poison."""

    def __init__(self, finish_reason: str = "stop") -> None:
        self.batches: list[int] = []
        self.finish_reason = finish_reason

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        self.batches.append(len(requests))
        for request in requests:
            if any(data == b"broken" for data in request.images.values()):
                raise ImageError("cut off")
            if request.messages[-1]["text"] == "poison":
                raise RuntimeError("no\nway")
        return [Output(item.messages[-1]["text"], self.finish_reason, 3, 1) for item in requests]


class Images:
    def bytes(self, digest: str) -> bytes:
        return digest.encode()


def question(index: str, text: str, image: str = "fine", error: str | None = None) -> Question:
    messages = [{"type": "image", "image": image}, {"type": "text", "text": text}]
    return make_question(ASKING, index, messages, error)


def run(folder: Path, questions: list[Question], backend: Echo, batch_size: int = 8, epoch: int = 0) -> int:
    finished: list[int] = []
    answer(
        questions, lambda: backend, Images(), JournalWriter(folder), ASKING,
        batch_size=batch_size, epoch=epoch, advance=finished.append,
    )  # fmt: skip
    return sum(finished)


def test_poison_costs_one_sample(tmp_path: Path) -> None:
    questions = [question(str(number), "poison" if number == 5 else f"text {number}") for number in range(16)]
    backend = Echo()
    assert run(tmp_path, questions, backend, batch_size=16) == 16
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].status for item in questions].count("ok") == 15
    assert found[questions[5].key].error == "RuntimeError: no way"
    assert len(backend.batches) <= 2 * 4 + 1, "the faulty sample is found by halving"
    assert unanswered(questions, found) == [questions[5]]


def test_broken_image_is_no_model_error(tmp_path: Path) -> None:
    questions = [question("0", "a", "broken"), question("1", "b"), question("2", "c", error="no image")]
    run(tmp_path, questions, Echo())
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].status for item in questions] == ["bad_image", "ok", "bad_image"]
    assert unanswered(questions, found) == []


def test_no_backend_is_loaded_for_broken_images_only(tmp_path: Path) -> None:
    def load() -> Echo:
        raise AssertionError("loaded")

    answer(
        [question("0", "a", error="no image")], load, Images(), JournalWriter(tmp_path), ASKING,
        batch_size=1, epoch=0, advance=lambda _: None,
    )  # fmt: skip


def test_identical_questions_are_asked_once(tmp_path: Path) -> None:
    backend = Echo()
    run(tmp_path, [question("0", "same"), question("1", "same"), question("2", "other")], backend)
    assert backend.batches == [2]


@pytest.mark.parametrize(
    ("text", "reason", "status"), [("x", "stop", "ok"), (" \n", "stop", "empty"), ("x", "length", "truncated")]
)
def test_statuses(tmp_path: Path, text: str, reason: str, status: str) -> None:
    questions = [question("0", text)]
    run(tmp_path, questions, Echo(reason))
    assert accepted_predictions(tmp_path, questions, 0)[questions[0].key].status == status


def test_failures_over_the_limit_name_the_first(tmp_path: Path) -> None:
    questions = [question("a", "fine"), question("b", "poison")]
    run(tmp_path, questions, Echo())
    found = accepted_predictions(tmp_path, questions, 0)
    refuse_failures(questions, found, 1, "M on D")
    with pytest.raises(VlmakeError, match=r"M on D: 1 of 2 samples failed .* index b: RuntimeError: no way"):
        refuse_failures(questions, found, 0, "M on D")


def test_answer_wins_over_an_earlier_and_a_later_error(tmp_path: Path) -> None:
    class Repaired(Echo):
        def generate(self, requests: Sequence[Request]) -> list[Output]:
            return [Output("well", "stop", 1, 1) for _ in requests]

    questions = [question("0", "poison")]
    for backend in (Echo(), Repaired(), Echo()):
        run(tmp_path, questions, backend)
    assert accepted_predictions(tmp_path, questions, 0)[questions[0].key].prediction == "well"


def test_fresh_answers_supersede_and_delete_nothing(tmp_path: Path) -> None:
    questions = [question("0", "x")]
    run(tmp_path, questions, Echo())
    assert start_epoch(tmp_path, "D") == 1
    assert start_epoch(tmp_path, "D") == 1, "a killed request for fresh answers goes on"
    assert unanswered(questions, accepted_predictions(tmp_path, questions, epoch_of(tmp_path, "D"))) == questions
    run(tmp_path, questions, Echo("length"), epoch=1)
    settle_epoch(tmp_path, "D")
    assert accepted_predictions(tmp_path, questions, 1)[questions[0].key].status == "truncated"
    assert accepted_predictions(tmp_path, questions, 0)[questions[0].key].epoch == 1, "another limit takes the newest"
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert start_epoch(tmp_path, "D") == 2
    assert start_epoch(tmp_path, "D@20") == 3


def test_key_depends_on_what_can_change_an_answer() -> None:
    base = question("0", "x").key
    assert question("7", "x").key == base
    assert question("0", "y").key != base
    assert question("0", "x", "other picture").key != base
    messages = question("0", "x").messages
    assert make_question(Asking("another model", 8), "0", messages, None).key != base
    assert make_question(Asking("model digest", 9), "0", messages, None).key != base
    assert make_question(Asking("model digest", 8, repeat=1), "0", messages, None).key != base
