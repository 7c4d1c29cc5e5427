"""Questions → answers in the journal, for a backend that takes many requests at once and answers as it can."""

from collections.abc import Callable, Sequence
from functools import partial

from vlmake.backends.base import Output, StreamingBackend
from vlmake.inference.answering import Course, ImageBytes, request_of
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

    A request is made when it is sent, so that the images in memory are those of the requests under way.
    """

    def deliver(answers: Sequence[tuple[int, Output | Exception, float]]) -> None:
        writer.append(
            [prediction(questions[number], result, asking, seconds, epoch) for number, result, seconds in answers]
        )
        advance([questions[number] for number, _, _ in answers])

    backend.stream((partial(request_of, question, images, asking) for question in questions), deliver)
    return Course(0)
