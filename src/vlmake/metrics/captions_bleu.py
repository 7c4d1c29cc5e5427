"""BLEU of a corpus of captions with several references each."""

import math

import numpy as np

from vlmake.metrics.captions import ORDERS, Corpus, Order

_TINY = 1e-15  # keeps an order without matches above zero, and
_SMALL = 1e-9  # one without n-grams from a division by zero: the COCO evaluation's constants

_LONG = 1 << 31  # more words than any text has


def corpus_bleu(corpus: Corpus) -> list[float]:
    """Return BLEU-1 to BLEU-4 of all captions together, as fractions.

    Matches of an n-gram are clipped at its highest count in one reference. Captions shorter together than their
    references are penalised, where a row's reference is the one closest in length, the shorter of two as close.

    Source: Papineni et al. 2002 (ACL P02-1040), with the smoothing of the COCO caption evaluation (Chen et al. 2015,
    arXiv 1504.00325).
    """
    ratio = (int(corpus.caption_words.sum()) + _TINY) / (_reference_length(corpus) + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for order in range(ORDERS):
        possible = int(np.maximum(corpus.caption_words - order, 0).sum())
        product *= (_matched(corpus.orders[order]) + _TINY) / (possible + _SMALL)
        scores.append(product ** (1 / (order + 1)) * penalty)
    return scores


def _reference_length(corpus: Corpus) -> int:
    """Return the summed length of the references closest in length to their captions."""
    difference = np.abs(corpus.reference_words - corpus.caption_words[corpus.reference_row])
    closest = np.full(len(corpus.caption_words), _LONG**2)
    np.minimum.at(closest, corpus.reference_row, difference * _LONG + corpus.reference_words)
    return int((closest % _LONG).sum())


def _matched(order: Order) -> int:
    highest = np.zeros(len(order.captions.times), dtype=np.int64)
    np.maximum.at(highest, order.partner, order.references.times[order.shared])
    return int(np.minimum(highest, order.captions.times).sum())
