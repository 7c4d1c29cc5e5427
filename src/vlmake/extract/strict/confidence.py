"""How far each rule of the strict extractors can be trusted.

``high``: the text says what it answers (a letter, a box, "the answer is"). ``medium``: it says it in its last or first
sentence. ``low``: what it says was put together (the one option left, a number equal to one option's, a statement read
against its question). docs/extraction.md shows how often each level was right.
"""

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import Plain

HIGH, MEDIUM, LOW = "high", "medium", "low"

CONFIDENCE = {
    **dict.fromkeys(
        ("letter", "boxed", "field", "declared", "declared_text", "leading_letter", "option_text", "verdict"), HIGH
    ),
    **dict.fromkeys(("short_text", "full_text", "declared_backward"), HIGH),
    **dict.fromkeys(("concluded", "emphasised", "lone_letter", "mentioned_text", "first_words"), MEDIUM),
    **dict.fromkeys(("marked", "quoted", "labelled", "restated", "leading_word"), MEDIUM),
    **dict.fromkeys(
        (
            "eliminated",
            "number",
            "last_sentence",
            "first_sentence",
            "main_clause",
            "by_place",
            "statement",
            "whole_text",
        ),
        LOW,
    ),
}
"""Rule → level."""


def found(answer: str, rule: str, plain: Plain, start: int, end: int) -> Extraction:
    """Return the answer that ``rule`` read at ``plain.text[start:end]``."""
    return Extraction(answer, rule, *plain.span(start, end), confidence=CONFIDENCE[rule])
