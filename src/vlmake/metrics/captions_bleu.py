"""BLEU of a corpus of captions with several references each."""

import math
from collections.abc import Sequence

from vlmake.metrics.captions import ORDERS, Caption

_TINY = 1e-15  # keeps an order without matches above zero, and
_SMALL = 1e-9  # one without n-grams from a division by zero: the COCO evaluation's constants


def corpus_bleu(captions: Sequence[Caption], references: Sequence[Sequence[Caption]]) -> list[float]:
    """Return BLEU-1 to BLEU-4 of all captions together, as fractions.

    Matches of an n-gram are clipped at its highest count in one reference. Captions shorter together than their
    references are penalised, where a row's reference is the one closest in length, the shorter of two as close.

    Source: Papineni et al. 2002 (ACL P02-1040), with the smoothing of the COCO caption evaluation (Chen et al. 2015,
    arXiv 1504.00325).
    """
    matched, possible = [0] * ORDERS, [0] * ORDERS
    length = reference_length = 0
    for caption, others in zip(captions, references, strict=True):
        length += caption.words
        reference_length += min((abs(other.words - caption.words), other.words) for other in others)[1]
        for order in range(ORDERS):
            possible[order] += max(0, caption.words - order)
        for ngram, count in caption.counts.items():
            matched[len(ngram) - 1] += min(count, max(other.counts.get(ngram, 0) for other in others))
    ratio = (length + _TINY) / (reference_length + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for order in range(ORDERS):
        product *= (matched[order] + _TINY) / (possible[order] + _SMALL)
        scores.append(product ** (1 / (order + 1)) * penalty)
    return scores
