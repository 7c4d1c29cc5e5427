"""What keeps reading fast whatever a model writes: runs of one character are cut, and so are endless texts.

Nothing that a reader sees is lost: twenty blanks say no more than sixteen, and thirty dashes no more than twenty-four.
"""

import re

from vlmake.extract.strict.clean import Plain

BLANKS = 16
"""Blanks that stand together at most; a longer run that ends lines becomes one line's end, or an empty line."""
ALIKE = 24
"""Equal signs ("-----"), or ends of sentences ("?!?!"), that stand together at most."""
START, END = 8_000, 24_000
"""Characters of the beginning and of the end that are read of a longer answer."""

_RUN = re.compile(rf"(?P<blanks>\s{{{BLANKS + 1},}})|(?P<alike>([^\w\s]|_)\3{{{ALIKE},}}|[.!?。！？…]{{{ALIKE + 1},}})")
_GAP = "\n\n"


def bounded(plain: Plain) -> Plain:
    """Return a text without long runs of blanks or of one sign, and without the middle of an endless one.

    The reasoning is gone before this, so that an answer of more than ``START + END`` characters goes round in circles,
    or says at its beginning or its end what it answers.
    """
    plain = with_short_runs(plain)
    if len(plain.text) <= START + END:
        return plain
    behind = len(plain.text) - END
    places = [*plain.places[:START], *[plain.places[behind]] * len(_GAP), *plain.places[behind:]]
    return Plain(plain.text[:START] + _GAP + plain.text[behind:], places)


def with_short_runs(plain: Plain) -> Plain:
    """Return a text whose runs of blanks and of one sign are short; places stay true."""
    texts: list[str] = []
    places: list[int] = []
    last = 0
    for run in _RUN.finditer(plain.text):
        kept = _kept(run)
        texts += [plain.text[last : run.start()], kept]
        places += [*plain.places[last : run.start()], *plain.places[run.start() : run.start() + len(kept)]]
        last = run.end()
    if not texts:
        return plain
    return Plain("".join([*texts, plain.text[last:]]), [*places, *plain.places[last:]])


def _kept(run: re.Match[str]) -> str:
    """Return what stays of a run."""
    if run["alike"]:
        return run[0][:ALIKE]
    return "\n" * min(run[0].count("\n"), 2) or run[0][:BLANKS]
