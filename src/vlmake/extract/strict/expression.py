"""A text, or a piece of one, that is nothing but an answer: a letter, an option's text, several letters."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.letters import SEVERAL_TOGETHER
from vlmake.extract.strict.options import are_letters, option_core, option_named_by

_ONE_LETTER = re.compile(
    r"[^\w+#°%$€£¥-]*(?:it'?s\s+(?=[b-z]\W*$)|(?:the\s+)?(?:option|choice|answer|letter|选项"
    r"|答案)\s*(?:is\b)?\s*[:：]?\s*[\"'(\[<{]*)?([A-Za-z])[^\w+#°%$€£¥=<*/-]*",
    re.IGNORECASE,
)
_SEVERAL_LETTERS = re.compile(r"[^\w]*(?:both\s+)?[A-Z](?:\s*(?:,|、|/|&|;|和|与|及|或|and|or|\s)\s*[A-Z])+[^\w]*")
CLAUSE_END = re.compile(r"[.!?](?=\s|$)|[。!?;\n]")
CLAUSE = 400
"""Characters in which a declaration says what it declares."""
_OUTER = " \t\r\n\"'.,;:!?。"


def expression(plain: Plain, options: Mapping[str, str], rule: str) -> Extraction | None:
    """Return what a text that is nothing but an answer says; None when it is something else."""
    text = plain.text
    if letter := _ONE_LETTER.fullmatch(text):
        return named_letter(plain, letter[1], letter.span(1), options, rule)
    if named := option_named_by(text, options):
        kept = stripped(plain, _OUTER)
        return found(named, "option_text" if rule == "letter" else rule, kept, 0, len(kept.text))
    if len(text) <= CLAUSE and _SEVERAL_LETTERS.fullmatch(text):
        letters = set(re.findall("[A-Z]", text))
        return unresolved("several_letters") if len(letters) > 1 else None
    if rule != "letter" and (several := letters_together(text, 0, options)):
        return several
    return None


def named_letter(
    plain: Plain, letter: str, place: tuple[int, int], options: Mapping[str, str], rule: str
) -> Extraction:
    """Return the option that a letter names; where options are letters, by its label or its text if both agree."""
    named = letter.upper()
    if are_letters(options):
        by_text = option_named_by(letter, options)
        if by_text and by_text != named:
            return unresolved("ambiguous_letter") if named in options else found(by_text, rule, plain, *place)
    return found(named, rule, plain, *place) if named in options else unresolved("not_an_option")


def letters_together(text: str, start: int, options: Mapping[str, str]) -> Extraction | None:
    """Return "several letters" for letters written as one word: ACD."""
    match = SEVERAL_TOGETHER.match(text, start)
    if not match or option_named_by(match["letters"], options):
        return None
    letters = set(match["letters"])
    return unresolved("several_letters") if len(letters) == len(match["letters"]) and letters <= set(options) else None


def contradicts(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the text right behind a letter is another option's, whole."""
    end = CLAUSE_END.search(text, start + 1, start + CLAUSE)
    beside = text[start : end.start() if end else start + CLAUSE].strip(_OUTER + ")]>、:")
    named = option_named_by(beside, options) if beside else None
    return named is not None and named != letter and option_core(options.get(letter, "")) != option_core(beside)
