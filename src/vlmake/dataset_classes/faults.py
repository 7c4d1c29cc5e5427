"""What a dataset class did wrong, as one line that a terminal can show."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_SHOWN = 300
"""Characters of an exception's text that are shown; the log has it whole."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")


class FaultError(Exception):
    """What the class did wrong, in one line."""


def one_line(text: str, most: int = 2 * MOST_SHOWN) -> str:
    """Return a text on one line, cut, without terminal sequences, control characters and lone surrogates."""
    words = " ".join(_ESCAPE_SEQUENCE.sub("", text).split())
    shown = "".join(letter for letter in words if letter.isprintable())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@contextmanager
def calling(method: str, folder: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a FaultError: method, exception, last place in the user's folder."""
    try:
        yield
    except FaultError:
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise FaultError(fault_text(method, folder, error)) from error


def fault_text(method: str, folder: str, error: BaseException) -> str:
    """Return what a method raised, on one line: method, exception, last place in the user's folder."""
    places = traceback.extract_tb(error.__traceback__)
    own = [place for place in places if Path(place.filename).is_relative_to(folder)]
    where = f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""
    return f"{method}: {type(error).__name__}: {_shown(error)}{where}"


def _shown(error: BaseException) -> str:
    try:
        return one_line(str(error), MOST_SHOWN)
    except Exception:  # an exception of the user's own may not even have a text
        return "(its text cannot be had)"
