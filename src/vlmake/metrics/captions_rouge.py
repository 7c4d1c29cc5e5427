"""ROUGE-L of a caption with several references."""

from collections.abc import Sequence

from rapidfuzz.distance import LCSseq

BETA = 1.2
"""How much more recall weighs than precision."""


def rouge_l(caption: str, references: Sequence[str]) -> float:
    """Return the F-measure of the longest common subsequence of words, 0 to 1.

    The best precision and the best recall over references are taken, be they of the same one or not. Words are split
    at single blanks, so that two blanks have an empty word between them.

    Source: Lin 2004 (ACL W04-1013), beta and the maxima as the COCO caption evaluation (arXiv 1504.00325) has them.
    """
    words = caption.split(" ")
    precision = recall = 0.0
    for reference in references:
        others = reference.split(" ")
        common = LCSseq.similarity(others, words)
        precision = max(precision, common / len(words))
        recall = max(recall, common / len(others))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
