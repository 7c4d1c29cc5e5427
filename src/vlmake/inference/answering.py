"""Questions → answers in the journal, batch by batch: whole image groups together, host work ahead of the device.

No sample is lost: a batch that fails is halved until the faulty sample is alone with its error, and a batch that does
not fit the device's memory is halved for good.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any, Protocol

from vlmake.backends.base import Backend, DeviceLostError, OutOfMemoryError, Output, Request, SampleName, Turn
from vlmake.errors import DeviceStoppedError, counted
from vlmake.inference.journal import ALONE, JournalWriter
from vlmake.inference.shard import Asking, Question, prediction, unasked

Result = Output | Exception
Submit = Callable[[Callable[[], Any]], Callable[[], Any]]


class ImageBytes(Protocol):
    """Where image bytes come from."""

    def bytes(self, image_id: str) -> bytes:
        """Return the bytes of one image by the id that messages name."""
        ...


@dataclass(frozen=True)
class Pace:
    """How many samples make a batch, and how many threads prepare batches ahead of the device (0: none)."""

    batch_size: int
    host_workers: int = 0


@dataclass
class Course:
    """How the answering went: the batch size it ended with, and what happened on the way."""

    batch_size: int
    events: list[str] = field(default_factory=list)


def set_aside_broken(questions: Sequence[Question], writer: JournalWriter, asking: Asking, epoch: int) -> int:
    """Journal the questions whose image is known to be broken; return how many there were."""
    broken = [question for question in questions if question.image_error]
    writer.append([unasked(question, asking, epoch) for question in broken])
    return len(broken)


def askable(questions: Sequence[Question]) -> list[Question]:
    """Return the questions that a model can be asked; of identical ones (one key) the first."""
    return list({question.key: question for question in questions if not question.image_error}.values())


def answer(
    questions: Sequence[Question],
    backend: Backend,
    images: ImageBytes,
    writer: JournalWriter,
    asking: Asking,
    pace: Pace,
    *,
    epoch: int,
    advance: Callable[[Sequence[Question]], None],
) -> Course:
    """Ask every question and journal each answer the moment it exists.

    ``advance`` is told which questions were finished. Raises DeviceStoppedError with the batch the device was
    working on, which is journaled as suspect.
    """
    course = Course(pace.batch_size)
    prepare = partial(_prepare, backend, images, asking)
    with _host(pace.host_workers) as submit:
        line = _Line(deque(questions), prepare, submit, pace.host_workers)
        while (taken := line.take(course.batch_size)) is not None:
            batch, prepared = taken
            started = time.perf_counter()
            try:
                results = _results(backend, prepare, batch, prepared)
            except OutOfMemoryError as error:
                course.batch_size = (len(batch) + 1) // 2
                course.events.append(
                    f"{counted(len(batch), 'sample')} did not fit ({error}); went on with batches of half"
                )
                line.give_back(batch)
                continue
            except DeviceLostError as error:
                writer.append(
                    [prediction(question, _suspected(error, batch), asking, 0.0, epoch) for question in batch]
                )
                raise DeviceStoppedError(
                    f"the device stopped working with {counted(len(batch), 'sample')}, the first at index"
                    f" {batch[0].index}:"
                    f" {error}; the same command goes on with the others and asks these last, one by one"
                ) from None
            seconds = (time.perf_counter() - started) / len(batch)
            answered = zip(batch, results, strict=True)
            writer.append([prediction(question, result, asking, seconds, epoch) for question, result in answered])
            advance(batch)
    return course


class _Line:
    """Questions in line, the next batches of which are being prepared ahead of their turn."""

    def __init__(
        self, waiting: deque[Question], prepare: Callable[[list[Question]], Any], submit: Submit, most_ahead: int
    ) -> None:
        self._waiting = waiting
        self._prepare = prepare
        self._submit = submit
        self._most_ahead = most_ahead
        self._ahead: deque[tuple[list[Question], Callable[[], Any]]] = deque()

    def take(self, size: int) -> tuple[list[Question], Callable[[], Any]] | None:
        """Return the next batch and how to wait for its preparation, or None at the end of the line."""
        while self._waiting and len(self._ahead) <= self._most_ahead:
            batch = take_batch(self._waiting, size)
            self._ahead.append((batch, self._submit(partial(self._prepare, batch))))
        return self._ahead.popleft() if self._ahead else None

    def give_back(self, batch: Sequence[Question]) -> None:
        """Put a batch, and those prepared after it, back to the front of the line."""
        for later, _ in reversed(self._ahead):
            self._waiting.extendleft(reversed(later))
        self._waiting.extendleft(reversed(batch))
        self._ahead.clear()


def _results(
    backend: Backend,
    prepare: Callable[[Sequence[Question]], Any],
    batch: Sequence[Question],
    prepared: Callable[[], Any],
) -> list[Result]:
    """Return an output or an error for every question of a batch.

    Raises OutOfMemoryError for a batch that could be smaller, and DeviceLostError.
    """
    try:
        return [*backend.generate(prepared())]
    except DeviceLostError:
        raise
    except OutOfMemoryError as error:
        if len(batch) > 1:
            raise
        return [error]
    except Exception as error:  # a backend may raise anything; it must cost one sample, not the run
        return _isolate(backend, prepare, batch, error)


def _suspected(error: DeviceLostError, batch: Sequence[Question]) -> DeviceLostError:
    """Return the error with a note for the next run, which asks suspects last (``inference.suspects``)."""
    who = ALONE if len(batch) == 1 else f"with {counted(len(batch), 'sample')}"
    return DeviceLostError(f"{who}: {error}")


def take_batch(waiting: deque[Question], size: int) -> list[Question]:
    """Take the next batch from the front: whole groups of questions on the same images, as many as fit.

    A group larger than ``size`` is cut into equal parts.
    """
    batch: list[Question] = []
    while waiting and len(batch) < size:
        group = _first_group(waiting, size)
        if batch and len(batch) + len(group) > size:
            break
        batch += group
        for _ in group:
            waiting.popleft()
    return batch


def _first_group(waiting: deque[Question], most: int) -> list[Question]:
    """Return the leading questions on the same images; of more than ``most``, the first of equal parts."""
    shown = shown_images(waiting[0])
    if not shown:
        return [waiting[0]]
    group = list(takewhile(lambda question: shown_images(question) == shown, waiting))
    parts = -(-len(group) // most)
    return group[: -(-len(group) // parts)]


def shown_images(question: Question) -> list[str]:
    """Return the images that a question shows, in order."""
    return [part["image"] for part in question.messages if part["type"] == "image"]


@contextmanager
def _host(workers: int) -> Iterator[Submit]:
    """Yield a function that starts a task and returns how to wait for its result; without workers it runs then."""
    if workers == 0:
        yield lambda task: task
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="host") as pool:
        try:
            yield lambda task: pool.submit(task).result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _isolate(
    backend: Backend, prepare: Callable[[Sequence[Question]], Any], batch: Sequence[Question], error: Exception
) -> list[Result]:
    """Halve a batch that failed until the faulty sample is alone with its error."""
    if len(batch) == 1:
        return [error]
    middle = len(batch) // 2
    results: list[Result] = []
    for half in (batch[:middle], batch[middle:]):
        try:
            results += backend.generate(prepare(half))
        except DeviceLostError:
            raise
        except Exception as fault:  # whatever else it raises, it is this half's
            results += _isolate(backend, prepare, half, fault)
    return results


def _prepare(backend: Backend, images: ImageBytes, asking: Asking, batch: Sequence[Question]) -> Any:
    return backend.prepare([request_of(question, images, asking) for question in batch])


def request_of(question: Question, images: ImageBytes, asking: Asking) -> Request:
    """Return a question as a backend is asked it, with its images."""
    turn = Turn("user", question.messages)
    shown = {*shown_images(question), *(question.row.images if question.row else ())}
    found: Mapping[str, bytes] = {name: images.bytes(name) for name in shown}
    dataset = asking.looked_up_in or asking.told
    sample = SampleName(dataset, question.index, question.row) if dataset is not None else None
    return Request([turn], found, asking.max_new_tokens, asking.pixels, sample, asking.reply_schema)
