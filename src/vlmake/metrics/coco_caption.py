"""Captions scored against several references: BLEU, ROUGE-L and CIDEr (COCO)."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, mean, one_row
from vlmake.metrics.captions import ORDERS, read_corpus
from vlmake.metrics.captions_bleu import corpus_bleu
from vlmake.metrics.captions_cider import cider
from vlmake.metrics.captions_rouge import rouge_l


def hits(judged: pd.DataFrame) -> Floats:
    """Return ROUGE-L of every row: BLEU and CIDEr belong to the whole corpus, and CIDEr is no share of 1."""
    rows = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array(
        [rouge_l(caption, references) if isinstance(caption, str) else 0.0 for caption, references in rows],
        dtype=np.float64,
    )


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row, values times 100: Bleu_1 to Bleu_4, ROUGE_L, CIDEr.

    Captions and references are compared as they are written: words end at white space, case counts, and no tokeniser
    takes punctuation off, unlike in the COCO server's numbers. A missing caption is one without words.

    Source: Chen et al. 2015 (arXiv 1504.00325) as VLMEvalKit calls it: without PTB tokenisation, METEOR and SPICE.
    """
    corpus = read_corpus(
        [text if isinstance(text, str) else "" for text in judged["extracted"]], judged["gold"].tolist()
    )
    bleu = corpus_bleu(corpus) if len(judged) else [float("nan")] * ORDERS
    agreement = 100 * mean(cider(corpus))
    scores: dict[str, float | None] = {f"Bleu_{order}": 100 * score for order, score in enumerate(bleu, 1)}
    scores |= {"ROUGE_L": 100 * mean(judged["hit"]), "CIDEr": agreement}
    return one_row(scores, Overall("CIDEr", agreement, len(judged)))


METRIC = Metric(hits=hits, table=table)
