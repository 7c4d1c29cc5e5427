"""The strict reading of an answer to a multiple-choice question, English or Chinese."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, emphasised, last_box, maths, stripped
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, REFUSAL, after_retraction, breaks_off, sentences
from vlmake.extract.strict.letters import (
    BACKWARD,
    DECLARATION,
    DECLARED_LETTER,
    LEADING,
    SEVERAL_TOGETHER,
    is_letter,
    letters_outside,
    listing,
    more_letters,
)
from vlmake.extract.strict.options import are_letters, is_rejected, lowered, option_core, option_named_by, options_in
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.sentences import (
    INLINE_MARK,
    LABELLED_LINE,
    distinctive,
    in_a_sentence,
    is_negated,
    marked_line,
    only_number,
)
from vlmake.extract.strict.weighed import by_place, main_clause, missing, said_once

_LISTED_LABEL = re.compile(r"(?:^|\n)[ \t]*(?:选项|option|choice)\W*", re.IGNORECASE)
_LEFT = re.compile(r"\W*(?:leav|剩)", re.IGNORECASE)
_ONE_LETTER = re.compile(
    r"[^\w+#°%$€£¥-]*(?:(?:the\s+)?(?:option|choice|answer|letter|选项"
    r"|答案)\s*(?:is\b)?\s*[:：]?\s*[\"'(\[<{]*)?([A-Za-z])[^\w+#°%$€£¥=<*/-]*",
    re.IGNORECASE,
)
_SEVERAL_LETTERS = re.compile(r"[^\w]*(?:both\s+)?[A-Z](?:\s*(?:,|、|/|&|;|和|与|及|或|and|or|\s)\s*[A-Z])+[^\w]*")
_CLAUSE_END = re.compile(r"[.!?](?=\s|$)|[。!?;\n]")
_WAVERINGS = 6  # declarations that are compared, from the last on
_CLAUSE = 400  # characters in which a declaration says what it declares
_OPTION_WORD = re.compile(r"option|choice|选项", re.IGNORECASE)
_CORRECTED = re.compile(
    r"(?<=[.!?…。])\s*(?:no|不),\s*(?:it's|it\s+is|是)?\s*(?=[\"'(\[]*[A-Z](?![\w']))", re.IGNORECASE
)
_BLANKS = re.compile(r"\s*")
_NO_ANSWER = re.compile(
    r"\s*(?:unclear|unknown|uncertain|not\s+(?:clear|given|provided|certain|available|among)|none|null|cannot"
    r"|can't|impossible|无法|不确定|不明)",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\bnot?\b|n't\b|\bnever\b|\bexcept\b|\bwrong\b|\bincorrect\b|\bfalse\b|不|没|错|非|无", re.IGNORECASE
)
_SHORT = 6  # words of a text that is an option and little more
_RESOLVED_BY_TEXT = " \t\r\n\"'.,;:!?。"


def read_choice(prediction: str | None, options: Mapping[str, str], question: str | None = None) -> Extraction:
    """Return the letter of the option that a careful reader takes from the prediction, else unresolved.

    Layers: the whole text is a letter or an option's text; a box; a field of JSON; the last declaration ("the answer
    is", 答案是, "B is correct"); a leading label ("B. because"); then, sentence by sentence, what the text concludes
    with. Several letters, a rejected option, a letter that is no option, a label that contradicts the text beside it,
    a refusal and a text that breaks off are unresolved.

    Args:
        prediction: The model's text; None where it gave none.
        options: Letter → text.
        question: What was asked; it shows which sentence answers it.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    marked = maths(final.plain)
    if box := last_box(marked):
        boxed = _expression(stripped(box), options, "boxed")
        if boxed:
            return boxed
    plain = core(marked)
    if answer := _expression(plain, options, "letter"):
        return answer
    if field := last_field(plain):
        return _expression(field, options, "field") or _leading(field, options) or unresolved("none")
    plain = said_once(plain)
    if answer := _expression(plain, options, "letter"):
        return answer
    if listed := listing(plain.text, lowered(plain.text), options):
        plain = _without(plain, *listed)
        if answer := _expression(plain, options, "letter"):
            return answer
    taken_back = after_retraction(plain.text)
    if (
        taken_back is not None
        and (answer := _read(plain.part(taken_back, len(plain.text)), None, options, question)).found
    ):
        return answer
    if taken_back is None and (corrected := _CORRECTED.search(plain.text)):
        answer = _read(plain.part(corrected.end(), len(plain.text)), None, options, question)
        if answer.found:
            return answer
    answer = _read(plain, marked, options, question)
    if (
        taken_back is not None
        and answer.found
        and answer.start is not None
        and answer.start < plain.places[taken_back - 1]
    ):
        return unresolved("retracted")
    return answer


def _without(plain: Plain, start: int, end: int) -> Plain:
    """Return the text without the options that it repeats."""
    places = [*plain.places[:start], *plain.places[end:]]
    return stripped(Plain(plain.text[:start] + plain.text[end:], places))


def _read(plain: Plain, marked: Plain | None, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return what a text of sentences says; ``marked`` is the same text with its emphasis, where it is whole."""
    return (
        _declared(plain, options)
        or _leading(plain, options)
        or marked_line(plain, options)
        or _refusal(plain, options)
        or _emphasised(marked, options)
        or in_a_sentence(plain, options, question)
        or _lone_letter(plain, options)
        or _option_text(plain, options, question)
    )


def _expression(plain: Plain, options: Mapping[str, str], rule: str) -> Extraction | None:
    """Return what a text that is nothing but an answer says; None when it is something else."""
    text = plain.text
    if letter := _ONE_LETTER.fullmatch(text):
        return _letter(plain, letter[1], letter.span(1), options, rule)
    if named := option_named_by(text, options):
        kept = stripped(plain, _RESOLVED_BY_TEXT)
        return found(named, "option_text" if rule == "letter" else rule, kept, 0, len(kept.text))
    if len(text) <= _CLAUSE and _SEVERAL_LETTERS.fullmatch(text):
        letters = set(re.findall("[A-Z]", text))
        return unresolved("several_letters") if len(letters) > 1 else None
    if rule != "letter" and (several := _together(text, 0, options)):
        return several
    return None


def _letter(plain: Plain, letter: str, place: tuple[int, int], options: Mapping[str, str], rule: str) -> Extraction:
    """Return the option that a letter names; where options are letters, by its label or its text if both agree."""
    named = letter.upper()
    if are_letters(options):
        by_text = option_named_by(letter, options)
        if by_text and by_text != named:
            return unresolved("ambiguous_letter") if named in options else found(by_text, rule, plain, *place)
    return found(named, rule, plain, *place) if named in options else unresolved("not_an_option")


def _together(text: str, start: int, options: Mapping[str, str]) -> Extraction | None:
    """Return "several letters" for letters written as one word: ACD."""
    match = SEVERAL_TOGETHER.match(text, start)
    if not match or option_named_by(match["letters"], options):
        return None
    letters = set(match["letters"])
    return unresolved("several_letters") if len(letters) == len(match["letters"]) and letters <= set(options) else None


def _declared(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return what the last declaration that says something says."""
    text = plain.text
    said: list[tuple[int, Extraction]] = []
    listed = len({line["letter"] for line in LABELLED_LINE.finditer(text)}) > 1
    for match in reversed(list(DECLARATION.finditer(text))):
        if listed and _is_label(text, match):
            continue
        answer = _after_declaration(plain, match.end(), options)
        if answer is None or (not answer.found and _LEFT.match(match[0])):
            continue
        if said and said[0][1].found and answer.found:
            said.append((match.end(), answer))
        said = said or [(match.end(), answer)]
        if len(said) > _WAVERINGS:
            break
    declared = [answer.answer for _, answer in said]
    if len(set(declared)) > 1 and declared[0] in declared[2:]:
        return unresolved("contradiction")  # B, then C, then B again
    said = said[:1]
    for match in BACKWARD.finditer(text):
        group = next(name for name in ("letter", "short", "fits") if match[name])
        if match[group] in options and not is_rejected(text, *match.span(group)):
            said.append(
                (match.start(group), _letter(plain, match[group], match.span(group), options, "declared_backward"))
            )
    if not said:
        return None
    start, answer = max(said, key=lambda item: item[0])
    return _still_held(plain, start, answer, options)


def _is_label(text: str, declaration: re.Match[str]) -> bool:
    """Return whether "Option D:" at the start of a line labels an entry of a list."""
    start = text.rfind("\n", 0, declaration.start()) + 1
    return (
        _LISTED_LABEL.fullmatch(text[start : declaration.end()]) is not None
        and re.match(r"[A-Z][\"')\]]{0,2}\s*[:.、–—-]", text[declaration.end() :]) is not None
    )


def _still_held(plain: Plain, start: int, answer: Extraction, options: Mapping[str, str]) -> Extraction:
    """Return a declared answer, unless what follows it casts doubt on it or says another option."""
    if answer.rule == "declared" and _concludes_otherwise(plain.text, start, str(answer.answer), options):
        return unresolved("contradiction")
    end = _CLAUSE_END.search(plain.text, start)
    rest = plain.text[end.end() :] if answer.found and end else ""
    if not rest.strip():
        return answer
    others = {
        letter for mention in letters_outside(rest, options) if not mention.rejected for letter in mention.letters
    }
    if others - {answer.answer} and HEDGE.search(rest):
        return unresolved("hedged")
    said = sentences(rest)
    if len(said) == 1 and not others and answer.rule == "declared":
        mentions = {mention.letter for mention in options_in(plain.text, options)}
        if len(mentions) == 1 and answer.answer not in mentions and not re.search(_WEIGHED, rest):
            return unresolved("contradiction")
    return answer


def _concludes_otherwise(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the clause before a declared letter concludes with another option: 所以乙最短,故选D."""
    begin = max((span[0] for span in sentences(text[:start]) if span[0] < start), default=0)
    concluding = list(CONCLUDES.finditer(text, begin, start))
    leads = [match for match in concluding if match.end() < start and text[match.end() : start].strip(" ,故选")]
    if not leads or are_letters(options):
        return False
    mentions = options_in(text[leads[0].end() : start], options)
    named = {mention.letter for mention in mentions}
    return len(named) == 1 and letter not in named and len(text[mentions[0].start : mentions[0].end]) > 1


_WEIGHED = r"\b(?:not|no|n't|other|unlike|than|but|although|while|would)\b|不|没|其他|而"


def _after_declaration(plain: Plain, start: int, options: Mapping[str, str]) -> Extraction | None:
    text = plain.text
    if several := _together(text, start, options):
        return several
    letter = DECLARED_LETTER.match(text, start)
    if letter and is_letter(text, letter):
        place = letter.span("letter")
        if is_rejected(text, *place):
            return None
        if more_letters(text, letter.end(), letter["letter"].upper(), options):
            return unresolved("several_letters")
        if _contradicts(text, letter.end(), letter["letter"].upper(), options):
            return unresolved("contradiction")
        if _OPTION_WORD.search(letter[0]) and letter["letter"].upper() in options:
            return found(letter["letter"].upper(), "declared", plain, *place)
        return _letter(plain, letter["letter"], place, options, "declared")
    blanks = _BLANKS.match(text, start)
    begin = blanks.end() if blanks else start
    end = _CLAUSE_END.search(text, begin, begin + _CLAUSE)
    clause = plain.part(start, min(end.start() if end else len(text), start + _CLAUSE))
    mentions = options_in(clause.text, options)
    letters = {mention.letter for mention in mentions}
    if len(letters) == 1:
        return found(mentions[0].letter, "declared_text", clause, mentions[0].start, mentions[0].end)
    if len(letters) > 1:
        return unresolved("several_options")
    return unresolved("abstained") if _NO_ANSWER.match(clause.text) else None


def _contradicts(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the text right behind a letter is another option's, whole."""
    end = _CLAUSE_END.search(text, start + 1, start + _CLAUSE)
    beside = text[start : end.start() if end else start + _CLAUSE].strip(_RESOLVED_BY_TEXT + ")]>、:")
    named = option_named_by(beside, options) if beside else None
    return named is not None and named != letter and option_core(options.get(letter, "")) != option_core(beside)


def _leading(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    r"""Return the letter with which the text begins as a label: "B. horse", "(B) because", "B\n\nBecause"."""
    text = plain.text
    match = LEADING.match(text)
    if not match:
        return None
    group = "named" if match["named"] else "letter"
    letter, place = match[group].upper(), match.span(group)
    if is_rejected(text, *place) or (letter in "AI" and re.match(r"\s*\n\s*[a-z]", text[place[1] :])):
        return None
    if letter == "I" and re.match(r"'(?:ll|m|d|ve)\b", text[place[1] :]):
        return None
    if any(mention.start <= place[0] < mention.end for mention in options_in(text[:_CLAUSE], options)):
        return None  # the A of "A. Reyes", which an option's text begins with
    lines = {line["letter"] for line in LABELLED_LINE.finditer(text)} & set(options)
    if lines - {letter} or len(list(INLINE_MARK.finditer(text))) > 1:
        return None  # a line for every option
    if more_letters(text, place[1], letter, options):
        return unresolved("several_letters")
    if _contradicts(text, match.end(), letter, options):
        return unresolved("contradiction")
    return _letter(plain, match[group], place, options, "leading_letter")


def _refusal(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return "refusal" for a text that declines to answer, unless an option says such a thing."""
    if REFUSAL.search(plain.text) and not any(REFUSAL.search(option) for option in options.values()):
        return unresolved("refusal")
    return None


def _emphasised(marked: Plain | None, options: Mapping[str, str]) -> Extraction | None:
    """Return the one option that the text prints in bold."""
    pieces = emphasised(marked) if marked else []
    named = [(option_named_by(piece.text, options), piece) for piece in pieces]
    letters = {letter for letter, _ in named if letter}
    if len(letters) != 1 or HEDGE.search(core(marked).text if marked else ""):
        return None
    letter, piece = next((letter, piece) for letter, piece in reversed(named) if letter)
    return found(str(letter), "emphasised", piece, 0, len(piece.text))


def _lone_letter(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
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
    left = set(options) - rejected
    if rejected and len(left) == 1:
        return found(left.pop(), "eliminated", plain, mentions[-1].start, mentions[-1].end)
    return None


def _option_text(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction:
    """Return the one option whose text occurs, or the one whose value the text's only number has."""
    mentions = options_in(plain.text, options)
    letters = {mention.letter for mention in mentions}
    if absent := missing(plain, options, question):
        return absent
    if is_negated(question) and letters and not _DENIES.search(plain.text) and len(plain.text.split()) > _SHORT:
        return unresolved("negated_question")
    if is_negated(question) and len(options_in(plain.text, options, rejected=True)) > len(mentions):
        return unresolved("negated_question")
    if letters and breaks_off(plain.text):
        return unresolved("truncated")
    if len(letters) == 1:
        return found(mentions[0].letter, "mentioned_text", plain, mentions[0].start, mentions[0].end)
    if letters:
        return main_clause(plain, options, question) or by_place(plain, options) or unresolved("several_options")
    if placed := by_place(plain, options):
        return placed
    return only_number(plain, options) or distinctive(plain, options) or unresolved("none")
