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


class _LineCounter:
    """Prints a line at most every ten seconds, and one at the end."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self._title, self._total, self._done, self._known = title, total, done, done
        self._started = self._printed = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._printed >= _LINE_EVERY_SECONDS:
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        rate = (self._done - self._known) / max(self._printed - self._started, 1e-9)
        left = time.strftime("%H:%M:%S", time.gmtime((self._total - self._done) / rate)) if rate else "unknown"
        line = f"{self._title}: {self._done}/{self._total} samples, {rate:.1f} samples/s, {left} left"
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.1f} samples/s")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    started, finished = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=done, rate=0.0)

        def advance(count: int) -> None:
            nonlocal finished
            finished += count
            bar.update(task, advance=count, rate=finished / max(time.monotonic() - started, 1e-9))

        yield advance
