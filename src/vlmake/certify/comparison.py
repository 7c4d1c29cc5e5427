"""The rules of a certification, and their verdict on what two sides made of the same prompts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlmake.certify.sides import Seen

PIXELS = 1e-5  # of a normalised pixel; the same rule in the same arithmetic gives none
FLOAT32_LOGITS = 1e-3  # of the largest logit
_NOISES, _ROUNDINGS = 4, 8  # half precision: times the original's batch noise; units in the last place
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10}


@dataclass(frozen=True)
class Rules:
    """What must hold for a number format. ``noise`` is how far batching alone moves the original's logits."""

    dtype: str
    noise: float

    def allowed(self, largest: float) -> float:
        """Return how far first logits may be apart whose largest absolute value is given."""
        if self.dtype == "float32":
            return FLOAT32_LOGITS * largest
        return max(_NOISES * self.noise, _ROUNDINGS * _EPSILON[self.dtype] * largest)

    def describe(self) -> dict[str, str]:
        """Return the rules in words."""
        exact = self.dtype == "float32"
        logits = f"within {FLOAT32_LOGITS:g} of the largest logit"
        if not exact:
            logits = f"within {_NOISES} times the original's batch noise ({self.noise:.3g}) or {_ROUNDINGS} roundings"
        return {
            "ids": "equal",
            "tiles": f"equal in number and shape, every value within {PIXELS:g}",
            "logits": logits,
            "answer ids": "equal" if exact else "reported: a near tie may fall either way in half precision",
            "answer text": "equal where the ids are, but for ids that spell no UTF-8",
        }


@dataclass(frozen=True)
class Row:
    """The comparison of one prompt. ``faults`` names the rules that it breaks."""

    name: str
    prompt_tokens: int
    tiles: int
    ids_differ_at: int | None
    tile_shapes_equal: bool
    pixels_apart: float | None
    logits_apart: float | None
    logits_allowed: float
    best_token_equal: bool
    answer_ids_equal: bool
    answers_equal: bool
    answers: tuple[str, str] | None
    faults: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return the row as JSON holds it."""
        return asdict(self) | {"answers": list(self.answers) if self.answers else None, "faults": list(self.faults)}


def compare(name: str, original: Seen, converted: Seen, rules: Rules) -> Row:
    """Compare what both sides made of one prompt. Both answers are kept where they differ."""
    largest = float(np.abs(original.logits).max())
    shapes = [None if seen.tiles is None else seen.tiles.shape for seen in (original, converted)]
    row = Row(
        name=name,
        prompt_tokens=len(original.ids),
        tiles=0 if original.tiles is None else len(original.tiles),
        ids_differ_at=first_difference(original.ids, converted.ids),
        tile_shapes_equal=shapes[0] == shapes[1],
        pixels_apart=_apart(original.tiles, converted.tiles),
        logits_apart=_apart(original.logits, converted.logits),
        logits_allowed=rules.allowed(largest),
        best_token_equal=int(original.logits.argmax()) == int(converted.logits.argmax()),
        answer_ids_equal=original.answer_ids == converted.answer_ids,
        answers_equal=original.answer == converted.answer,
        answers=None if original.answer == converted.answer else (original.answer, converted.answer),
        faults=(),
    )
    return Row(**(row.__dict__ | {"faults": tuple(_faults(row, rules))}))


def first_difference(left: Sequence[int], right: Sequence[int]) -> int | None:
    """Return the first place where two sequences differ, in length too; None if they are equal."""
    if list(left) == list(right):
        return None
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def same_but_for_bytes(original: str, converted: str) -> bool:
    """Tell whether two texts differ only in how ids that spell no UTF-8 are shown.

    The converted side's library shows every byte of a run that holds such a fault as U+FFFD, the original's only the
    faulty ones: a run of n stands for at most n letters, of which one at least is U+FFFD there too.
    """
    runs = re.split(f"({_REPLACED}+)", converted)
    pattern = "".join(f"(.{{1,{len(run)}}})" if _REPLACED in run else re.escape(run) for run in runs)
    match = re.fullmatch(pattern, original, re.DOTALL)
    return match is not None and all(_REPLACED in shown for shown in match.groups())


def _faults(row: Row, rules: Rules) -> Iterator[str]:
    if row.ids_differ_at is not None:
        yield "ids"
    if not row.tile_shapes_equal:
        yield "tiles"
    elif row.tiles and (row.pixels_apart is None or row.pixels_apart > PIXELS):
        yield "pixels"
    if row.logits_apart is None or row.logits_apart > row.logits_allowed:
        yield "logits"
    if rules.dtype == "float32" and not row.answer_ids_equal:
        yield "answer ids"
    if row.answer_ids_equal and row.answers is not None and not same_but_for_bytes(*row.answers):
        yield "answer text"


def _apart(left: np.ndarray[Any, Any] | None, right: np.ndarray[Any, Any] | None) -> float | None:
    """Return the largest absolute difference; None where shapes differ, there is nothing, or it is no number."""
    if left is None or right is None or left.shape != right.shape:
        return None
    apart = float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max())
    return apart if np.isfinite(apart) else None
