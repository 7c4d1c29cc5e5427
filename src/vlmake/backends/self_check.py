"""Does a shortcut give what the plain path gives? Decided on the first batch that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_FP32_TOLERANCE = 1e-4  # of the largest logit; another order of additions moves them by about a hundredth of that
_ROUNDINGS = 8  # half precision: how many units in the last place of the largest logit are rounding


@dataclass(frozen=True, slots=True)
class Answers:
    """What was generated: token ids of every row after its prompt; where asked for, logits of every row's first one."""

    ids: list[list[int]]
    first_logits: torch.Tensor | None = None


def difference(plain: Answers, shortcut: Answers, noise: float, dtype: torch.dtype) -> str | None:
    """Return None if the shortcut's answers are the plain path's, else what differs, as one line.

    ``noise`` is how far the plain path's own first logits move when the same prompts run in another batch, ``dtype``
    the model's. In float32 the tokens must be equal too; in half precision near ties may fall either way.
    """
    import torch

    expected, given = _logits(plain), _logits(shortcut)
    largest = expected.abs().max().item()
    apart = (expected - given).abs().max().item()
    exact = dtype == torch.float32
    allowed = _FP32_TOLERANCE * largest if exact else max(4 * noise, _ROUNDINGS * torch.finfo(dtype).eps * largest)
    if not apart <= allowed:  # also for NaN
        return f"logits differ by {apart:.3g} where {allowed:.3g} is rounding"
    if exact and plain.ids != shortcut.ids:
        return "the greedy tokens differ"
    return None


def spread(plain: Answers, singles: Sequence[Answers]) -> float:
    """Return how far the plain path's first logits of some rows lie from the same rows run one by one."""
    rows = zip(_logits(plain), singles, strict=False)
    return max(float((row - _logits(single)[0]).abs().max()) for row, single in rows)


def _logits(answers: Answers) -> torch.Tensor:
    assert answers.first_logits is not None, "a self-check compares logits"
    return answers.first_logits.float()
