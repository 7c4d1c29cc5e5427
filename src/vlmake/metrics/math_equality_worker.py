"""The processes that compare expressions: a line of JSON in, ``1`` or ``0`` out. Only ``math_equality`` starts them.

One loads the libraries, which takes a second, and forks another, which does the work and is replaced when an expression
brings it down. Its limits are the kernel's: memory by ``setrlimit``, processor time by a timer whose signal ends the
process even in the middle of a huge power. It can start no program, reach no network and write no file.
"""

import json
import logging
import os
import resource
import signal
import sys
import traceback
from typing import Any, NoReturn

from vlmake.extract.answer import STRICT
from vlmake.metrics.arithmetic import TOLERANCE, arithmetic
from vlmake.orphans import die_with_parent

MEMORY = 2 << 30
"""Bytes of address space."""

_REFUSED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.", "ctypes.", "shutil.")
_REFUSED_FILES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link", "os.symlink")


def main() -> None:
    """Answer questions until there are none."""
    die_with_parent()
    cpu_seconds = float(sys.argv[1])
    replies = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no reply
    logging.disable(logging.CRITICAL)
    import latex2sympy2_extended  # noqa: F401  # loaded before there is a second process
    import math_verify  # noqa: F401

    greeting = b"ready\n"
    while True:
        if not (child := os.fork()):
            _work(replies, greeting, cpu_seconds)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended >= 0:
            sys.exit(ended)
        os.write(replies, b"0\n")  # killed by a signal over an expression
        greeting = b""


def _work(replies: int, greeting: bytes, cpu_seconds: float) -> NoReturn:
    """Compare until there are no questions, and end."""
    try:
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(_refuse)
        os.write(replies, greeting)
        for line in sys.stdin.buffer:  # one question at a time: nothing of the next one is read before its reply
            answer, gold, protocol = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # the signal's default action ends the process
            same = _equal(answer, gold, protocol == STRICT)
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(replies, b"1\n" if same else b"0\n")
    except BaseException:
        logging.disable(logging.NOTSET)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _equal(answer: str, gold: str, strict: bool) -> bool:
    try:
        return _equal_strict(answer, gold) if strict else _equal_in_vlmevalkit(answer, gold)
    except Exception:  # of whatever kind, in a parser that was given anything: they are not known to be equal
        return False


def _equal_in_vlmevalkit(answer: str, gold: str) -> bool:
    """Return whether both are LaTeX of which arithmetic is left, within the tolerance."""
    from latex2sympy2_extended import latex2sympy

    values = [arithmetic(str(latex2sympy(text))) for text in (gold, answer)]
    return values[0] is not None and values[1] is not None and abs(values[0] - values[1]) < TOLERANCE


def _equal_strict(answer: str, gold: str) -> bool:
    from math_verify import verify

    return bool(verify(_parsed(gold), _parsed(answer), timeout_seconds=None))


def _parsed(text: str) -> Any:
    """Return the expression that the whole text is; math-verify's own search would be content with a part of it.

    Letters that may be units stay: what is one was taken off before.
    """
    from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex

    config = NormalizationConfig(malformed_operators=True, nits=True)
    normal = normalize_latex(text, config=config)
    return latex2sympy(normal, is_real=True, convert_degrees=False, normalization_config=None)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what no comparison needs, should an expression find a way to ask for it."""
    if event.startswith(_REFUSED) or event in _REFUSED_FILES:
        raise PermissionError(event)
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise PermissionError(event)


if __name__ == "__main__":
    main()
