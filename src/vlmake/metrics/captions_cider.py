"""CIDEr-D: agreement of captions with references, rare n-grams weighing more than those that every row has."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vlmake.metrics.base import Floats
from vlmake.metrics.captions import ORDERS, Caption, Ngram

SIGMA = 6.0
"""Width of the penalty for another length, in n-grams of two words."""

SCALE = 10.0


class _Weighted(NamedTuple):
    weights: dict[Ngram, float]
    norms: list[float]  # one an order
    pairs: int  # n-grams of two words, CIDEr-D's length


def cider(captions: Sequence[Caption], references: Sequence[Sequence[Caption]]) -> Floats:
    """Return CIDEr-D of every row, 0 to 10.

    An n-gram weighs its count times log(rows / rows whose references have it), so the score depends on which rows are
    evaluated, and a single row is always 0.

    Source: Vedantam et al. 2015 (arXiv 1411.5726) with clipping and the Gaussian penalty of length ("CIDEr-D"), the
    one that COCO evaluations call CIDEr.
    """
    having: Counter[Ngram] = Counter()
    for others in references:
        having.update(set().union(*(other.counts for other in others)))
    highest = math.log(len(references)) if references else 0.0
    rarity = {ngram: highest - math.log(rows) for ngram, rows in having.items()}
    return np.array(
        [
            _row(_weighted(caption, rarity, highest), [_weighted(other, rarity, highest) for other in others])
            for caption, others in zip(captions, references, strict=True)
        ],
        dtype=np.float64,
    )


def _weighted(caption: Caption, rarity: Mapping[Ngram, float], highest: float) -> _Weighted:
    """Return a caption's n-gram weights; ``highest`` is the rarity of an n-gram that no reference has."""
    weights = {ngram: count * rarity.get(ngram, highest) for ngram, count in caption.counts.items()}
    squares = [0.0] * ORDERS
    for ngram, weight in weights.items():
        squares[len(ngram) - 1] += weight * weight
    return _Weighted(weights, [math.sqrt(square) for square in squares], max(0, caption.words - 1))


def _row(caption: _Weighted, references: Sequence[_Weighted]) -> float:
    return SCALE * sum(_similarity(caption, reference) for reference in references) / len(references)


def _similarity(caption: _Weighted, reference: _Weighted) -> float:
    """Return the mean over orders of the clipped cosine, times the penalty of length."""
    products = [0.0] * ORDERS
    for ngram, weight in caption.weights.items():
        other = reference.weights.get(ngram)
        if other:
            products[len(ngram) - 1] += min(weight, other) * other
    cosines = sum(
        product / (own * other)
        for product, own, other in zip(products, caption.norms, reference.norms, strict=True)
        if own and other
    )
    difference = caption.pairs - reference.pairs
    return cosines / ORDERS * math.exp(-(difference**2) / (2 * SIGMA**2))
