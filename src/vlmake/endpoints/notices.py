"""Lines on stderr about long waits, so that nobody watches a silent job; each reason is told once."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

_LONG_WAIT_S = 10.0
_SHOWN = 200


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class Notices:
    """What was told about one server; ``shown`` is its address as it may be printed."""

    shown: str
    say: Callable[[str], None] = _print
    silence_s: float = 8.0
    last: str = ""
    """What failed last."""
    _told: set[str] = field(default_factory=set)

    def failed(self, kind: str, reason: str, wait: float) -> None:
        """Take note of a failed attempt, and tell its reason if the next one is far; ``wait`` is in seconds."""
        self.last = reason[:_SHOWN]
        if wait >= _LONG_WAIT_S:
            self._tell(kind, f"{self.shown}: {self.last}; the next attempt at this request follows in {wait:.0f} s")

    def silent(self, seconds: float, under_way: int) -> float | None:
        """Tell that nothing was answered for so long, if it is time for that; return the seconds until it is.

        None: it was told already.
        """
        if seconds >= self.silence_s:
            why = f"the last attempt: {self.last}" if self.last else f"{under_way} requests under way"
            self._tell("silence", f"{self.shown} has answered nothing yet after {seconds:.0f} s ({why}); still trying")
        return None if "silence" in self._told else self.silence_s - seconds

    def _tell(self, kind: str, line: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self.say(line)
