"""How far a stage is: a bar on a terminal, a line now and then elsewhere. Always with samples/s and time left."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINE_EVERY_SECONDS = 10.0


@contextmanager
def progress(title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes how many more samples are finished; ``done`` of ``total`` were known before."""
    if sys.stderr.isatty():
        with _bar(title, total, done) as advance:
            yield advance
        return
    counter = _LineCounter(title, total, done)
    yield counter.advance
    counter.close()


class _Rate:
    """Samples per second since the first batch was finished: loading the model is not part of it."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._finished = 0

    def add(self, count: int) -> None:
        if self._since is None:
            self._since = time.monotonic()
        else:
            self._finished += count

    def per_second(self) -> float:
        """Return the rate, 0 while it is not known."""
        return self._finished / max(time.monotonic() - self._since, 1e-9) if self._since and self._finished else 0.0


class _LineCounter:
    """Prints a line at most every ten seconds, and one at the end."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self._title, self._total, self._done, self._rate = title, total, done, _Rate()
        self._printed = time.monotonic()
        self._shown = -1

    def advance(self, count: int) -> None:
        self._done += count
        self._rate.add(count)
        if time.monotonic() - self._printed >= _LINE_EVERY_SECONDS:
            self._print()

    def close(self) -> None:
        if self._shown != self._done:
            self._print()

    def _print(self) -> None:
        self._printed, self._shown = time.monotonic(), self._done
        line = f"{self._title}: {self._done}/{self._total} samples"
        if rate := self._rate.per_second():
            left = time.strftime("%H:%M:%S", time.gmtime((self._total - self._done) / rate))
            line += f", {rate:.1f} samples/s, {left} left"
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.1f} samples/s")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    measured = _Rate()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=done, rate=0.0)

        def advance(count: int) -> None:
            measured.add(count)
            bar.update(task, advance=count, rate=measured.per_second())

        yield advance
