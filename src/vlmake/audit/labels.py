"""What a person and an extractor may say of a prediction, in one set of categories.

A category is the answer that the prediction gives: a letter of the question, ``Yes`` or ``No``, or a text in a form in
which case, spacing and outer punctuation make no difference. ``ABSTAIN`` stands for no answer.
"""

import unicodedata
from collections.abc import Sequence

from vlmake.errors import VlmakeError
from vlmake.registry.tasks import Task

ABSTAIN = "?"
"""The category of a prediction that gives no answer, or several."""

UNLABELLED = frozenset({"", "-", "–", "—"})
"""Cells that are not filled in (yet)."""

INSTRUCTIONS = (
    "Fill the column 'label' with the answer that the prediction gives, right or wrong; the picture is not needed.",
    "Choice: the option's letter. Yes or no: yes, no. Other questions: the answer's text, copied from the prediction.",
    "?: a careful reader finds no answer, or more than one. - or nothing: not labelled; such rows do not count.",
    "Rows may be sorted; leave the column 'sample' as it is, and do not open the JSON file beside the sheet before you"
    " are done.",
)

_ABSTAIN_WORDS = frozenset({"none", "abstain"})
_YES_NO = {"yes": "Yes", "y": "Yes", "是": "Yes", "no": "No", "n": "No", "否": "No"}
_OUTER = " \t\r\n\"'“”‘’`.。,，;；:：!！"
_AROUND = _OUTER + "()（）[]*"  # what a person or a program puts around a letter or a yes


def parse_label(cell: str, task: Task, options: Sequence[str]) -> str | None:
    """Return the category that a person wrote, None for a cell that is not filled in.

    Args:
        cell: The cell as text.
        task: What the question asks for; ``none`` and ``abstain`` are answers only where texts are.
        options: The question's letters, if it has options.

    Raises:
        VlmakeError: A label that the question does not have; without the place, which the caller adds.
    """
    text = unicodedata.normalize("NFKC", cell).strip().removeprefix("'").strip()  # Excel's mark of a text
    if text in UNLABELLED:
        return None
    if task == "vqa":
        return ABSTAIN if text == ABSTAIN else same_form(text)
    word = text.strip(_AROUND).casefold()
    if word in _ABSTAIN_WORDS or (word and not word.strip(ABSTAIN)):
        return ABSTAIN
    if task == "yes_no":
        if answer := _YES_NO.get(word):
            return answer
        raise VlmakeError(f"'{shortened(text)}' is neither yes, no nor ? (no answer)")
    letter = word.upper()
    if letter in options:
        return letter
    raise VlmakeError(f"'{shortened(text)}' is none of the question's letters {', '.join(options)}, nor ? (no answer)")


def answer_category(answer: str | None, found: bool, task: Task, options: Sequence[str]) -> str:
    """Return the category of what an extractor read.

    A letter that the question does not have is no answer: VLMEvalKit's ``Z`` stands for a refusal.
    """
    if not found or answer is None:
        return ABSTAIN
    if task == "vqa":
        return same_form(answer)
    known = _YES_NO.values() if task == "yes_no" else options
    return answer if answer in known else ABSTAIN


def same_form(text: str) -> str:
    """Return a text without what makes no difference between answers; what is nothing else stays as it is."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(_OUTER) or folded or ABSTAIN


def shortened(text: str) -> str:
    """Return a text as messages quote it."""
    return text if len(text) <= 40 else f"{text[:40]}…"
