r"""Whether two mathematical expressions are equal: ``\frac{1}{2}`` and ``0.5``, ``2\pi`` and ``2*pi``.

Expressions are a model's text and may be anything, a bomb such as ``9**9**9**9`` too. What is plain is decided here;
the rest goes to a process (``vlmake.metrics.math_equality_worker``) with limits on memory and time, which is replaced
when an expression exhausts them. Nothing is evaluated as code.
"""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from types import TracebackType
from typing import IO

from vlmake.errors import VlmakeError
from vlmake.extract.answer import STRICT
from vlmake.metrics import math_equality_worker
from vlmake.metrics.arithmetic import TOLERANCE, arithmetic
from vlmake.metrics.math_notation import in_latex, split_unit

CPU_SECONDS = 3.0
"""Processor time for one comparison, so that a busy machine changes no score."""

_STARTING = 300.0  # seconds of wall time until the libraries are loaded
_WALL = 120.0  # seconds of wall time for one comparison, should it sleep
_LONGEST = 500  # characters of an expression
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})(?:e[+-]?\d{1,2})?")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG")


def equal(pairs: Sequence[tuple[str, str]], protocol: str, cpu_seconds: float = CPU_SECONDS) -> list[bool]:
    r"""Return for every (answer, right answer) whether they are equal.

    Both are compared in lower case without blanks around them; then as expressions. VLMEvalKit: numbers within 1e-6, if
    both are arithmetic in Python's notation or LaTeX; what keeps a root, π or a name has no value there. Strictly: as
    math-verify has it (Kydlíček 2025: six decimals, sets without order, units left out), where the text is an
    expression and no prose.

    Args:
        pairs: The texts.
        protocol: Whose rule.
        cpu_seconds: Processor time for one pair; one that needs more is not equal.
    """
    decided = {pair: _plainly(*pair, protocol) for pair in set(pairs)}
    if undecided := [pair for pair, same in decided.items() if same is None]:
        undecided.sort()  # so that every run sees them in one order
        with _Worker(cpu_seconds) as worker:
            decided |= {pair: worker.equal(*_asked(*pair, protocol), protocol) for pair in undecided}
    return [bool(decided[pair]) for pair in pairs]


def _plainly(answer: str, gold: str, protocol: str) -> bool | None:
    """Return whether two texts are equal; None where it takes algebra to tell."""
    one, other = answer.lower().strip(), gold.lower().strip()
    if not one or not other:
        return one == other and protocol != STRICT
    if one == other:
        return True
    if max(len(one), len(other)) > _LONGEST:
        return False
    if _PLAIN_NUMBER.fullmatch(one) and _PLAIN_NUMBER.fullmatch(other):
        return abs(Fraction(one) - Fraction(other)) < TOLERANCE
    return _plainly_strict(answer, gold) if protocol == STRICT else _plainly_in_vlmevalkit(one, other)


def _plainly_in_vlmevalkit(answer: str, gold: str) -> bool | None:
    values = arithmetic(gold), arithmetic(answer)
    if values[0] is not None and values[1] is not None and abs(values[0] - values[1]) < TOLERANCE:
        return True
    return None if not any(_names(text) for text in (answer, gold)) else False


def _names(text: str) -> list[str]:
    """Return the letters of a text that are no LaTeX command and no exponent: none of them has a value."""
    return [name for name in _LETTERS.findall(_COMMAND.sub(" ", text)) if name != "e"]


def _plainly_strict(answer: str, gold: str) -> bool | None:
    (one, unit), (other, right_unit) = split_unit(in_latex(answer)), split_unit(in_latex(gold))
    if unit and right_unit and unit != right_unit:
        return False
    if one is None or other is None:
        return False
    return True if one == other else None


def _asked(answer: str, gold: str, protocol: str) -> tuple[str, str]:
    if protocol != STRICT:
        return answer.lower().strip(), gold.lower().strip()
    return str(split_unit(in_latex(answer))[0]), str(split_unit(in_latex(gold))[0])


class _Worker:
    """The process that compares, one pair at a time; replaced when a pair brings it down."""

    def __init__(self, cpu_seconds: float) -> None:
        self._cpu_seconds = cpu_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def equal(self, answer: str, gold: str, protocol: str) -> bool:
        """Return whether the two are equal; False too where that cannot be told within the limits."""
        process = self._process or self._start()
        question = json.dumps([answer, gold, protocol]).encode() + b"\n"
        with suppress(BrokenPipeError):
            _end(process.stdin).write(question)
            _end(process.stdin).flush()
        reply = _line(process, _WALL)
        if reply not in (b"0\n", b"1\n"):
            self._stop()
        return reply == b"1\n"

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", math_equality_worker.__name__, str(self._cpu_seconds)]
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        if _line(process, _STARTING) != b"ready\n":
            self._stop()
            raise VlmakeError(
                "expressions cannot be compared: math-verify does not start; run"
                f" `{sys.executable} -m {math_equality_worker.__name__} 1` to see why"
            )
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with ExitStack() as closing:
            closing.callback(process.wait)
            closing.callback(_kill, process)
            for end in (process.stdin, process.stdout):
                closing.callback(_close, _end(end))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _close(end: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        end.close()


def _end(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "both ends are pipes"
    return pipe


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return the next line that a process writes; empty when it ends, or writes none in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(_end(process.stdout), selectors.EVENT_READ)
        return _end(process.stdout).readline(64) if selector.select(seconds) else b""
