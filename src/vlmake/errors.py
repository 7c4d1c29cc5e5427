"""The one error type that reaches a user, always as one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class VlmakeError(Exception):
    """Something the user can act on; its text is one line: what, where (file, row, key) and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class DeviceStoppedError(VlmakeError):
    """The device does not answer any more: only another process can go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the closest of the known names, or an empty string."""
    candidates = list(known)
    folded = {candidate.casefold(): candidate for candidate in candidates}
    if same := folded.get(name.casefold()):
        return f"; did you mean '{same}'?"
    close = get_close_matches(name, candidates, n=1, cutoff=0.75)
    close = close or [folded[found] for found in get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    return f"; did you mean '{close[0]}'?" if close else ""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 row`` or ``1,200 rows``; ``plural`` is for a noun that takes more than an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
