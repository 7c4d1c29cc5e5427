"""Captions as counted n-grams, which BLEU and CIDEr share."""

from collections import Counter
from itertools import chain
from typing import NamedTuple

ORDERS = 4
"""Longest n-gram that counts."""

Ngram = tuple[str, ...]


class Caption(NamedTuple):
    """A caption: how many words it has, and how often each n-gram of one to four words occurs in it."""

    words: int
    counts: Counter[Ngram]


def read_caption(text: str) -> Caption:
    """Return a caption's words, split at white space as they are written, and its n-grams."""
    words = text.split()
    ngrams = (zip(*(words[start:] for start in range(order)), strict=False) for order in range(1, ORDERS + 1))
    return Caption(len(words), Counter(chain.from_iterable(ngrams)))
