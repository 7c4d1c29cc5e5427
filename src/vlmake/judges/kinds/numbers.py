"""Numbers in judges' replies: of a JSON object's field, or of a reply that is nothing but numbers."""

import math
import re
from typing import Any

_NUMBER = re.compile(r"[+-]?\d{1,6}(?:\.\d{1,12})?")
_FENCED = re.compile(r"\s*```[A-Za-z]*\s*(.*?)\s*```\s*", re.DOTALL)


def number(value: Any) -> float | None:
    """Return the number that a JSON value is, be it written as text; None for anything else (a truth value, 8/10)."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value.strip())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e6 and math.isfinite(value):
        return float(value)
    return None


def bare_numbers(reply: str) -> list[float] | None:
    """Return the numbers of a reply that holds nothing else, parted by blanks or commas; None for any other reply."""
    fenced = _FENCED.fullmatch(reply)
    words = re.split(r"\s*,\s*|\s+", (fenced[1] if fenced else reply).strip().rstrip("."))
    found = [number(word) for word in words]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None
