"""Answering questions with backends that are real Python objects and fail in real ways."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest

from vlmake.backends.base import Capabilities, DeviceLostError, OutOfMemoryError, Output, Request
from vlmake.data.images import ImageError
from vlmake.errors import DeviceStoppedError, VlmakeError
from vlmake.inference.answering import Pace, answer, askable, set_aside_broken, take_batch
from vlmake.inference.journal import JournalWriter, epoch_of, settle_epoch, start_epoch
from vlmake.inference.shard import (
    Asking,
    Question,
    accepted_predictions,
    make_question,
    refuse_failures,
    suspects,
    unanswered,
)

ASKING = Asking("model digest", max_new_tokens=8)


class Echo:
    """Answers with the prompt; refuses texts and images that are poison."""

    capabilities = Capabilities(max_images=None, system=True, history=True)

    def __init__(self, finish_reason: str = "stop", room: int = 1000) -> None:
        self.batches: list[int] = []
        self.finish_reason = finish_reason
        self.room = room

    def prepare(self, requests: Sequence[Request]) -> list[Request]:
        if any(data == b"broken" for request in requests for data in request.images.values()):
            raise ImageError("cut off")
        return list(requests)

    def generate(self, prepared: list[Request]) -> list[Output]:
        self.batches.append(len(prepared))
        texts = [request.turns[-1].parts[-1]["text"] for request in prepared]
        if len(prepared) > self.room:
            raise OutOfMemoryError("no room")
        if "poison" in texts:
            raise RuntimeError("no\nway")
        if "device killer" in texts:
            raise DeviceLostError("device-side assert")
        return [Output(text, self.finish_reason, 3, 1) for text in texts]

    def facts(self) -> dict[str, object]:
        return {}


class Images:
    def bytes(self, digest: str) -> bytes:
        return digest.encode()


def question(index: str, text: str, image: str = "fine", error: str | None = None) -> Question:
    messages = [{"type": "image", "image": image}, {"type": "text", "text": text}]
    return make_question(ASKING, index, messages, error)


def run(
    folder: Path, questions: list[Question], backend: Echo, batch_size: int = 8, epoch: int = 0, host_workers: int = 0
) -> int:
    writer = JournalWriter(folder)
    broken, finished = set_aside_broken(questions, writer, ASKING, epoch), []
    answer(
        askable(questions), backend, Images(), writer, ASKING, Pace(batch_size, host_workers),
        epoch=epoch, advance=finished.extend,
    )  # fmt: skip
    return broken + len(finished)


def test_poison_costs_one_sample(tmp_path: Path) -> None:
    questions = [question(str(number), "poison" if number == 5 else f"text {number}") for number in range(16)]
    backend = Echo()
    assert run(tmp_path, questions, backend, batch_size=16) == 16
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].status for item in questions].count("ok") == 15
    assert found[questions[5].key].error == "RuntimeError: no way"
    assert len(backend.batches) <= 2 * 4 + 1, "the faulty sample is found by halving"
    assert unanswered(questions, found) == [questions[5]]


@pytest.mark.parametrize("host_workers", [0, 1, 3])
def test_poison_costs_one_sample_also_when_the_host_works_ahead(tmp_path: Path, host_workers: int) -> None:
    texts = ["poison" if number in (0, 17, 39) else f"text {number}" for number in range(40)]
    questions = [question(str(number), text, f"{number}") for number, text in enumerate(texts)]
    questions[20] = question("20", "text 20", "broken")
    assert run(tmp_path, questions, Echo(), batch_size=4, host_workers=host_workers) == 40
    found = accepted_predictions(tmp_path, questions, 0)
    failed = {item.index: found[item.key].status for item in questions if found[item.key].status != "ok"}
    assert failed == {"0": "model_error", "17": "model_error", "20": "bad_image", "39": "model_error"}
    assert all(found[item.key].prediction == f"text {item.index}" for item in questions if item.index not in failed)


@pytest.mark.parametrize("host_workers", [0, 2])
def test_out_of_memory_halves_the_batches_for_good_and_is_told(tmp_path: Path, host_workers: int) -> None:
    questions = [question(str(number), f"text {number}", str(number)) for number in range(40)]
    backend = Echo(room=5)
    course = answer(
        questions, backend, Images(), JournalWriter(tmp_path), ASKING, Pace(16, host_workers),
        epoch=0, advance=lambda _: None,
    )  # fmt: skip
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].prediction for item in questions] == [f"text {number}" for number in range(40)]
    assert backend.batches == [16, 8, *[4] * 10]
    assert course.batch_size == 4
    assert course.events == [
        "16 samples did not fit (no room); went on with batches of half",
        "8 samples did not fit (no room); went on with batches of half",
    ]


def test_one_sample_that_does_not_fit_is_a_model_error(tmp_path: Path) -> None:
    questions = [question("0", "a"), question("1", "b", "other")]
    run(tmp_path, questions, Echo(room=0))
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].error for item in questions] == ["OutOfMemoryError: no room"] * 2


def test_a_sample_that_stops_the_device_costs_no_other(tmp_path: Path) -> None:
    """Each run stands for a new process; the same command is given until nothing but the sample is left."""
    texts = ["device killer" if number in (5, 6) else f"text {number}" for number in range(16)]
    questions = [question(str(number), text, str(number)) for number, text in enumerate(texts)]
    runs = 0
    while True:
        found = accepted_predictions(tmp_path, questions, 0)
        apart = suspects(questions, found)
        keys = {item.key for item in apart}
        todo = [item for item in unanswered(questions, found) if item.key not in keys]
        answered = sum(item.status == "ok" for item in found.values())
        if answered == 14:
            break
        runs += 1
        assert runs <= 6, "a run got nowhere"
        with pytest.raises(DeviceStoppedError, match=r"the device stopped working with \d samples?, the first at"):
            run(tmp_path, todo, Echo(), batch_size=4)
            run(tmp_path, apart, Echo(), batch_size=1)
    assert runs == 4
    assert {item.index for item in apart} == {"5", "6"}


def test_batches_hold_whole_groups_where_they_fit() -> None:
    shown = ["a"] * 3 + ["b"] * 3 + ["c"] * 9 + ["d", "e"]
    waiting = deque(question(str(number), str(number), image) for number, image in enumerate(shown))
    sizes = []
    while waiting:
        sizes.append("".join(item.messages[0]["image"] for item in take_batch(waiting, 4)))
    assert sizes == ["aaa", "bbb", "ccc", "ccc", "cccd", "e"]


def test_broken_image_is_no_model_error(tmp_path: Path) -> None:
    questions = [question("0", "a", "broken"), question("1", "b"), question("2", "c", error="no image")]
    run(tmp_path, questions, Echo())
    found = accepted_predictions(tmp_path, questions, 0)
    assert [found[item.key].status for item in questions] == ["bad_image", "ok", "bad_image"]
    assert unanswered(questions, found) == []


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
