"""Questions → answers in the journal, for a backend that takes many requests at once and answers as it can."""

from collections.abc import Callable, Sequence
from functools import partial

from vlmake.backends.base import Output, StreamingBackend
from vlmake.inference.answering import Course, ImageBytes, request_of, shown_images
from vlmake.inference.journal import JournalWriter
from vlmake.inference.shard import Asking, Question, prediction


def answer_streaming(
    questions: Sequence[Question],
    backend: StreamingBackend,
    images: ImageBytes,
    writer: JournalWriter,
    asking: Asking,
    *,
    epoch: int,
    advance: Callable[[Sequence[Question]], None],
) -> Course:
    """Ask every question and journal each answer the moment it exists, in groups as they come.

    Questions on the same images are asked one after the other, so that a server finds their prompts' beginning in its
    cache. A request is made when it is sent: the images in memory are those of the requests under way.
    """
    asked = _by_images(questions)

    def deliver(answers: Sequence[tuple[int, Output | Exception, float]]) -> None:
        writer.append(
            [prediction(asked[number], result, asking, seconds, epoch) for number, result, seconds in answers]
        )
        advance([asked[number] for number, _, _ in answers])

    backend.stream((partial(request_of, question, images, asking) for question in asked), deliver)
    return Course(0)


def _by_images(questions: Sequence[Question]) -> list[Question]:
    """Return the questions with those on the same images together, in the order in which images first appear."""
    groups: dict[tuple[str, ...], list[Question]] = {}
    for number, question in enumerate(questions):
        shown = tuple(shown_images(question)) or (f"none {number}",)
        groups.setdefault(shown, []).append(question)
    return [question for group in groups.values() for question in group]
