"""The strict reading of an answer to a multiple-choice question, English or Chinese."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.asserted import asserted
from vlmake.extract.strict.bounds import with_short_runs
from vlmake.extract.strict.clean import Plain, emphasised, last_box, maths, stripped
from vlmake.extract.strict.compared import compared, subject, superlative, total, valued
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.declared import declared, leading, verdict
from vlmake.extract.strict.discourse import HEDGE, REFUSAL, after_correction, after_retraction, breaks_off
from vlmake.extract.strict.doubt import CHECKED, doubted
from vlmake.extract.strict.expression import expression, named_letter
from vlmake.extract.strict.letters import letters_outside, listing
from vlmake.extract.strict.options import are_letters, lowered, option_core, option_named_by, options_in
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.sentences import in_a_sentence, is_negated, only_number
from vlmake.extract.strict.verdicts import marked
from vlmake.extract.strict.weighed import by_place, eliminated, main_clause, missing, said_once
from vlmake.extract.strict.yes_no import read_yes_no

_DENIES = re.compile(
    r"\bnot?\b|n't\b|\bnever\b|\bexcept\b|\bwrong\b|\bincorrect\b|\bfalse\b|不|没|错|非|无", re.IGNORECASE
)
_POLAR = {"Yes": ("yes", "是", "有", "对"), "No": ("no", "否", "没有", "不是", "错")}
_ASKS_WRONG = re.compile(
    r"\b(?:false|incorrect|wrong|not\s+(?:true|correct))\b|错误|不正确|不符|不对|有误", re.IGNORECASE
)
_BARE_LETTER = re.compile(r"\(?([A-Z])[).]{0,2}")
_SHORT = 6  # words of a text that is an option and little more


def read_choice(prediction: str | None, options: Mapping[str, str], question: str | None = None) -> Extraction:
    """Return the letter of the option that a careful reader takes from the prediction, else unresolved.

    Layers: the whole text is a letter or an option's text; a box; a field of JSON; the last declaration ("the answer
    is", 答案是, "B is correct"); a leading label ("B. because"); then, sentence by sentence, what the text concludes
    with. Several letters, a rejected option, a letter that is no option, a label that contradicts the text beside it,
    a refusal and a text that breaks off are unresolved; questions, conditions and hearsay say nothing.

    Args:
        prediction: The model's text; None where it gave none.
        options: Letter → text.
        question: What was asked; it shows which sentence answers it.
    """
    if letter := _BARE_LETTER.fullmatch(prediction or ""):
        return named_letter(Plain(letter[0], range(len(letter[0]))), letter[1], letter.span(1), options, "letter")
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    everything = maths(final.plain)
    if last_box(everything) and (box := last_box(asserted(everything, options, question))):
        boxed = expression(stripped(box), options, "boxed")
        if boxed:
            return boxed
    plain = core(everything)
    if answer := expression(plain, options, "letter"):
        return answer
    if field := last_field(plain):
        return expression(field, options, "field") or leading(field, options) or unresolved("none")
    once = said_once(plain)
    if once is not plain and (answer := expression(once, options, "letter")):
        return answer
    plain = once
    if listed := listing(plain.text, lowered(plain.text), options):
        plain = _without(plain, *listed)
    said = stripped(with_short_runs(asserted(plain, options, question)))
    if not said.text:
        return unresolved("none")
    bold = asserted(everything, options, question) if emphasised(everything) else None
    bare = expression(said, options, "letter") if said.text != once.text else None
    answer = bare or _corrected(said, bold, options, question)
    return (_polar(prediction, options, question) or answer) if answer.rule == "none" else answer


def _polar(prediction: str | None, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the yes or no that a statement gives to its question, where these are options."""
    letters = {
        verdict: letter
        for verdict, words in _POLAR.items()
        for letter, option in options.items()
        if option_core(option) in words
    }
    if len(letters) < len(_POLAR):
        return None
    said = read_yes_no(prediction, question)
    return said._replace(answer=letters[str(said.answer)]) if said.found else None


def _without(plain: Plain, start: int, end: int) -> Plain:
    """Return the text without the options that it repeats."""
    places = [*plain.places[:start], *plain.places[end:]]
    return stripped(Plain(plain.text[:start] + plain.text[end:], places))


def _corrected(plain: Plain, bold: Plain | None, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return what a text says behind its last correction, else what it says as a whole."""
    taken_back = after_retraction(plain.text)
    behind = taken_back if taken_back is not None else after_correction(plain.text, options)
    if behind is not None:
        answer = _behind(plain.part(behind, len(plain.text)), options, question)
        if answer.found:
            return answer
    answer = _read(plain, bold, options, question)
    if (
        taken_back is not None
        and answer.found
        and answer.start is not None
        and answer.start < plain.places[taken_back - 1]
    ):
        return unresolved("retracted")
    return answer


def _behind(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return what the text behind a correction says; it may be a mere letter."""
    plain = stripped(plain, " \t\r\n,:;–—-")
    return expression(plain, options, "lone_letter") or _read(plain, None, options, question)


def _read(plain: Plain, bold: Plain | None, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return what a text of sentences says; ``bold`` is the same text with its emphasis, where it is whole."""
    return (
        declared(plain, options)
        or leading(plain, options)
        or verdict(plain, options)
        or marked(plain, options, is_negated(question))
        or _refusal(plain, options)
        or superlative(plain, options, question)
        or subject(plain, options, question)
        or valued(plain, options, question)
        or compared(plain, options, question)
        or total(plain, options)
        or _named(plain, bold, options, question)
    )


def _named(plain: Plain, bold: Plain | None, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return the option that a text names without declaring it, unless the place speaks against it."""
    answer = (
        _emphasised(bold, options)
        or in_a_sentence(plain, options, question)
        or _lone_letter(plain, options, question)
        or _option_text(plain, options, question)
    )
    if answer.rule in CHECKED and doubted(plain, answer, options, question):
        return unresolved("doubtful")
    return answer


def _refusal(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return "refusal" for a text that declines to answer, unless an option says such a thing."""
    if REFUSAL.search(plain.text) and not any(REFUSAL.search(option) for option in options.values()):
        return unresolved("refusal")
    return None


def _emphasised(bold: Plain | None, options: Mapping[str, str]) -> Extraction | None:
    """Return the one option that the text prints in bold."""
    pieces = emphasised(bold) if bold else []
    named = [(option_named_by(piece.text, options), piece) for piece in pieces]
    letters = {letter for letter, _ in named if letter}
    if len(letters) != 1 or HEDGE.search(core(bold).text if bold else ""):
        return None
    letter, piece = next((letter, piece) for letter, piece in reversed(named) if letter)
    return found(str(letter), "emphasised", piece, 0, len(piece.text))


def _lone_letter(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the one letter that is named, or the one that is left when all others are rejected."""
    mentions = list(letters_outside(plain.text, options))
    kept = [mention for mention in mentions if not mention.rejected]
    letters = {letter for mention in kept for letter in mention.letters}
    if len(letters) > 1:
        return by_place(plain, options) or unresolved("several_letters")
    if kept:
        others = {mention.letter for mention in options_in(plain.text, options)} - letters
        if others or are_letters(options) or (kept[-1].start > 0 and breaks_off(plain.text)):
            return None
        return found(kept[0].letters, "lone_letter", plain, kept[0].start, kept[0].end)
    rejected = {letter for mention in mentions for letter in mention.letters}
    if len(rejected) == 1 and _ASKS_WRONG.search(question or "") and _ASKS_WRONG.search(plain.text):
        return found(rejected.pop(), "lone_letter", plain, mentions[-1].start, mentions[-1].end)
    left = set(options) - rejected
    if rejected and len(left) == 1:
        return found(left.pop(), "eliminated", plain, mentions[-1].start, mentions[-1].end)
    return None


def _option_text(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return the one option whose text occurs, or the one whose value the text's only number has."""
    mentions = options_in(plain.text, options)
    denied = {letter for named in letters_outside(plain.text, options) if named.rejected for letter in named.letters}
    mentions = [mention for mention in mentions if mention.letter not in denied]
    letters = {mention.letter for mention in mentions}
    if absent := missing(plain, options, question):
        return absent
    if is_negated(question) and letters and not _DENIES.search(plain.text) and len(plain.text.split()) > _SHORT:
        return unresolved("negated_question")
    if is_negated(question) and len(options_in(plain.text, options, rejected=True)) > len(mentions):
        return unresolved("negated_question")
    if not is_negated(question) and (left := eliminated(plain, options)):
        return left
    if letters and breaks_off(plain.text):
        return unresolved("truncated")
    if len(letters) == 1:
        return found(mentions[0].letter, "mentioned_text", plain, mentions[0].start, mentions[0].end)
    if letters:
        return main_clause(plain, options, question) or by_place(plain, options) or unresolved("several_options")
    if placed := by_place(plain, options):
        return placed
    answer = only_number(plain, options)
    return answer if answer and answer.answer not in denied else unresolved("none")
