"""CIDEr-D: agreement of captions with references, rare n-grams weighing more than those that every row has."""

import numpy as np

from vlmake.metrics.base import Floats
from vlmake.metrics.captions import ORDERS, Corpus, Entries, Ints, Order

SIGMA = 6.0
"""Width of the penalty for another length, in n-grams of two words."""

SCALE = 10.0


def cider(corpus: Corpus) -> Floats:
    """Return CIDEr-D of every row, 0 to 10.

    An n-gram weighs its count times log(rows / rows whose references have it), so the score depends on which rows are
    evaluated, and a single row is always 0.

    Source: Vedantam et al. 2015 (arXiv 1411.5726) with clipping and the Gaussian penalty of length ("CIDEr-D"), the
    one that COCO evaluations call CIDEr.
    """
    row = corpus.reference_row
    similarity = np.sum([_cosines(order, row, len(corpus.caption_words)) for order in corpus.orders], axis=0) / ORDERS
    difference = _pairs(corpus.caption_words)[row] - _pairs(corpus.reference_words)
    similarity *= np.exp(-(difference**2) / (2 * SIGMA**2))
    references = np.bincount(row, minlength=len(corpus.caption_words))
    return SCALE * np.bincount(row, similarity, len(references)) / np.maximum(references, 1)


def _cosines(order: Order, row: Ints, rows: int) -> Floats:
    """Return for every reference the cosine with its caption, the caption's weights clipped at the reference's."""
    # In how many rows references have the n-gram: each row counts once.
    having = np.unique(row[order.references.text] * order.kinds + order.references.ngram) % max(order.kinds, 1)
    rarity = np.log(max(rows, 1)) - np.log(np.maximum(np.bincount(having, minlength=order.kinds), 1))
    ours, theirs = (entries.times * rarity[entries.ngram] for entries in (order.captions, order.references))
    weights = theirs[order.shared]
    products = np.minimum(ours[order.partner], weights) * weights
    norms = _norms(order.captions, ours, rows)[row] * _norms(order.references, theirs, len(row))
    totals = np.bincount(order.references.text[order.shared], products, len(row))
    return np.divide(totals, norms, out=np.zeros(len(row)), where=norms > 0)


def _norms(entries: Entries, weights: Floats, texts: int) -> Floats:
    return np.sqrt(np.bincount(entries.text, weights**2, texts))


def _pairs(words: Ints) -> Ints:
    """Return how many n-grams of two words texts have, which is the length that CIDEr-D compares."""
    return np.maximum(words - 1, 0)
