"""Regular expressions for names and numbers, as Snakemake's wildcards take them."""

import re
from collections.abc import Iterable


def alternatives(names: Iterable[str]) -> str:
    """Return an alternation of literal names, longest first, that matches nothing when there are none."""
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or r"(?!)"


def numbers_up_to(most: int) -> str:
    """Return a regular expression for the whole numbers from 1 to ``most``, without leading zeros."""
    digits = str(most)
    patterns = [f"[1-9][0-9]{{{length - 1}}}" for length in range(1, len(digits))]
    for place, digit in enumerate(digits):
        lowest = 1 if place == 0 else 0
        if int(digit) > lowest:
            rest = len(digits) - place - 1
            patterns.append(f"{digits[:place]}[{lowest}-{int(digit) - 1}][0-9]{{{rest}}}")
    return "|".join([*patterns, digits])
