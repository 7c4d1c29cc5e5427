"""Captions and their references as counted n-grams, which BLEU and CIDEr share."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ORDERS = 4
"""Longest n-gram that counts, in words."""

Ints = npt.NDArray[np.int64]


class Entries(NamedTuple):
    """How often each text has each n-gram: one entry a text and distinct n-gram, sorted by both."""

    text: Ints
    ngram: Ints
    times: Ints


class Order(NamedTuple):
    """The n-grams of one length.

    Attributes:
        captions: Those of the captions; a caption's number is its row.
        references: Those of the references, which are numbered through, row after row.
        shared: The entries of references whose row's caption has the n-gram too.
        partner: For each of these, the caption's entry.
        kinds: How many n-grams there are; they are numbered from 0.
    """

    captions: Entries
    references: Entries
    shared: Ints
    partner: Ints
    kinds: int


class Corpus(NamedTuple):
    """All captions and references: lengths in words, the references' rows, and n-grams of one to four words."""

    caption_words: Ints
    reference_words: Ints
    reference_row: Ints
    orders: tuple[Order, ...]


def read_corpus(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Corpus:
    """Return captions and references, one list a caption; words are what stands between white space, as written."""
    rows = len(captions)
    texts = [text.split() for text in chain(captions, *references)]
    lengths = np.array([len(words) for words in texts], dtype=np.int64)
    row = np.repeat(np.arange(rows, dtype=np.int64), [len(others) for others in references])
    vocabulary: dict[str, int] = {}
    words = np.array(
        [vocabulary.setdefault(word, len(vocabulary)) for words in texts for word in words], dtype=np.int64
    )
    text = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
    orders = []
    codes, kinds = words, len(vocabulary)
    for order in range(1, ORDERS + 1):
        if order > 1:  # an n-gram is the shorter one that starts where it does, and one more word
            found, codes = np.unique(codes[:-1] * len(vocabulary) + words[order - 1 :], return_inverse=True)
            kinds = len(found)
        start = text[: len(codes)]
        within = start == text[order - 1 :]
        orders.append(_order(start[within] * kinds + codes[within], kinds, rows, row))
    return Corpus(lengths[:rows], lengths[rows:], row, tuple(orders))


def _order(occurrences: Ints, kinds: int, rows: int, row: Ints) -> Order:
    """Return one order; every occurrence of an n-gram is its text times ``kinds`` plus its own number."""
    keys, counts = np.unique(occurrences, return_counts=True)
    text, ngram = np.divmod(keys, max(kinds, 1))
    first = int(np.searchsorted(text, rows))
    captions = Entries(text[:first], ngram[:first], counts[:first])
    references = Entries(text[first:] - rows, ngram[first:], counts[first:])
    wanted = row[references.text] * kinds + references.ngram
    place = np.searchsorted(keys[:first], wanted)
    shared = np.flatnonzero(np.append(keys[:first], -1)[place] == wanted)
    return Order(captions, references, shared, place[shared], kinds)
