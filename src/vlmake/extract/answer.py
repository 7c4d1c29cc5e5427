"""What an extractor returns, and the names of the protocols."""

from typing import NamedTuple

MAIN = "vlmevalkit-main"
MS = "vlmevalkit-ms"
STRICT = "strict"

PROTOCOLS = (MAIN, MS, STRICT)
"""Every protocol, in the order in which results list them."""

UNANSWERED = ("bad_image", "model_error")
"""Statuses of a prediction that the model did not make."""


class Extraction(NamedTuple):
    """One answer: what was read, by which rule, and where (offsets into the prediction's text, end excluded).

    ``found`` is False when no rule settled the answer. ``answer`` is then None, or the word by which the emulated
    tool reports it (``Unknown``). The place is None where the text that the rule saw is not the prediction's own.
    ``confidence`` is ``high``, ``medium`` or ``low``, by the rule (``vlmake.extract.strict.confidence``); None where
    nothing was found, and in the protocols of VLMEvalKit, which know no such thing.
    """

    answer: str | None
    rule: str
    start: int | None = None
    end: int | None = None
    found: bool = True
    confidence: str | None = None


def unresolved(rule: str, answer: str | None = None) -> Extraction:
    """Return an extraction that settled nothing; ``rule`` says why."""
    return Extraction(answer, rule, found=False)
