"""What a text says its answer is: declarations ("The answer is", 故选), "B is correct", and a leading label."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, sentences
from vlmake.extract.strict.expression import CLAUSE, CLAUSE_END, contradicts, letters_together, named_letter
from vlmake.extract.strict.letters import (
    BACKWARD,
    DECLARED_LETTER,
    LEADING,
    declarations,
    is_letter,
    letters_in,
    letters_outside,
    more_letters,
)
from vlmake.extract.strict.options import are_letters, option_core, option_named_by, options_in
from vlmake.extract.strict.verdicts import LABELLED_LINE, is_list
from vlmake.extract.strict.withheld import is_denied

_LISTED_LABEL = re.compile(r"(?:^|\n)[ \t]*(?:选项|option|choice)\W*", re.IGNORECASE)
_LEFT = re.compile(r"\W{0,4}(?:leav|剩)", re.IGNORECASE)
_WAVERINGS = 6  # declarations that are compared, from the last on
_OPTION_WORD = re.compile(r"option|choice|选项", re.IGNORECASE)
_VERDICT = re.compile(r"[\"'(]*(?P<word>yes|no|是|否)(?:的)?(?=\s*[.,;:!。–—\n]|\s*$)", re.IGNORECASE)
_REASON = re.compile(r"\W{0,4}(?:(?:because|since|as|due)\b|因为)", re.IGNORECASE)
_SHORT = 16  # words of an answer that is one sentence
_BLANKS = re.compile(r"\s*")
_NO_ANSWER = re.compile(
    r"\s*(?:unclear|unknown|uncertain|not\s+(?:clear|given|provided|certain|available|among)|none|null|cannot"
    r"|can't|impossible|无法|不确定|不明)",
    re.IGNORECASE,
)
_IS = re.compile(r"(?:\b(?:is|are|it's)\s+(?:an?\s+|the\s+)?(?:[\w'.-]+\s+){0,3}|[是为])$", re.IGNORECASE)
_OUTER = " \t\r\n.。"
_WEIGHED = re.compile(r"\b(?:not|no|n't|other|unlike|than|but|although|while|would)\b|不|没|其他|而")


def declared(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return what the last declaration that says something says."""
    text = plain.text
    said: list[tuple[int, Extraction]] = []
    places = declarations(text)
    listed = bool(places) and len({line["letter"] for line in LABELLED_LINE.finditer(text)}) > 1
    for match in reversed(places):
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
        group = str(match.lastgroup)
        if match[group] in options and not is_denied(text, *match.span(group)):
            said.append(
                (match.start(group), named_letter(plain, match[group], match.span(group), options, "declared_backward"))
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
    end = CLAUSE_END.search(plain.text, start)
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
        if len(mentions) == 1 and answer.answer not in mentions and not _WEIGHED.search(rest):
            return unresolved("contradiction")
    return answer


def _concludes_otherwise(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the clause before a declared letter concludes with another option: 所以乙最短,故选D."""
    begin = max((span[0] for span in sentences(text[:start]) if span[0] < start), default=0)
    concluding = list(CONCLUDES.finditer(text, begin, start))
    if concluding and _premise_names_another(text[begin : concluding[-1].start()], letter, options):
        return True
    leads = [match for match in concluding if match.end() < start and text[match.end() : start].strip(" ,故选")]
    if not leads or are_letters(options):
        return False
    mentions = options_in(text[leads[0].end() : start], options)
    named = {mention.letter for mention in mentions}
    return len(named) == 1 and letter not in named and len(text[mentions[0].start : mentions[0].end]) > 1


def _premise_names_another(premise: str, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether a premise ends with what the thing is, and that is another option: "It is a cross, so D."."""
    premise = premise.rstrip(" ,;:")
    mentions = options_in(premise, options)
    return (
        len({mention.letter for mention in mentions}) == 1
        and mentions[-1].letter != letter
        and mentions[-1].end == len(premise)
        and len(premise) - mentions[-1].start > 1
        and _IS.search(premise[: mentions[-1].start]) is not None
    )


def _after_declaration(plain: Plain, start: int, options: Mapping[str, str]) -> Extraction | None:
    text = plain.text
    if several := letters_together(text, start, options):
        return several
    letter = DECLARED_LETTER.match(text, start)
    if letter and is_letter(text, letter):
        place = letter.span("letter")
        if is_denied(text, *place):
            return None
        if more_letters(text, letter.end(), letter["letter"].upper(), options):
            return unresolved("several_letters")
        if contradicts(text, letter.end(), letter["letter"].upper(), options):
            return unresolved("contradiction")
        if _OPTION_WORD.search(letter[0]) and letter["letter"].upper() in options:
            return found(letter["letter"].upper(), "declared", plain, *place)
        return named_letter(plain, letter["letter"], place, options, "declared")
    blanks = _BLANKS.match(text, start)
    begin = blanks.end() if blanks else start
    end = CLAUSE_END.search(text, begin, begin + CLAUSE)
    clause = plain.part(start, min(end.start() if end else len(text), start + CLAUSE))
    mentions = options_in(clause.text, options)
    letters = {mention.letter for mention in mentions}
    if len(letters) == 1:
        if is_denied(text, start + mentions[0].start, start + mentions[0].end):
            return None  # "The answer is cat? No."
        return found(mentions[0].letter, "declared_text", clause, mentions[0].start, mentions[0].end)
    if len(letters) > 1:
        return unresolved("several_options")
    return unresolved("abstained") if _NO_ANSWER.match(clause.text) else None


def leading(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    r"""Return the letter with which the text begins as a label: "B. horse", "(B) because", "B\n\nBecause"."""
    text = plain.text
    match = LEADING.match(text)
    if not match:
        return None
    group = "named" if match["named"] else "letter"
    letter, place = match[group].upper(), match.span(group)
    if is_denied(text, *place) or (letter in "AI" and re.match(r"\s*\n\s*[a-z]", text[place[1] :])):
        return None
    if letter == "I" and re.match(r"'(?:ll|m|d|ve)\b", text[place[1] :]):
        return None
    if text[match.end() :].strip(_OUTER).lower() == option_core(options.get(letter, "")):
        return named_letter(plain, match[group], place, options, "leading_letter")  # the label and its text
    if _begins_an_option(text, place[0], letter, options):
        return None  # the A of "A. Reyes"
    lines = {line["letter"] for line in LABELLED_LINE.finditer(text)} & set(options)
    if lines - {letter} or is_list(text):
        return None  # a line for every option
    if more_letters(text, place[1], letter, options):
        first = next(letters_in(text, options), None)
        return None if first and first.rejected else unresolved("several_letters")
    if contradicts(text, match.end(), letter, options):
        return unresolved("contradiction")
    if letter == "A" and ":" in match[0] and (told := _behind_answer_sign(plain, match.end(), options)):
        return told
    answer = named_letter(plain, match[group], place, options, "leading_letter")
    return unresolved("contradiction") if _tells_otherwise(plain.text, match.end(), letter, options) else answer


def _tells_otherwise(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the only sentence behind a label names another option alone: "B. The left one is locked."."""
    if _REASON.match(text, start) or len(sentences(text[start:])) != 1 or _WEIGHED.search(text, start):
        return False
    mentions = {mention.letter for mention in options_in(text, options)}
    return len(mentions) == 1 and letter not in mentions and len(text.split()) <= _SHORT


def _begins_an_option(text: str, place: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether a letter is part of an option's text that stands there."""
    if not any(letter in option.upper().replace(".", " ").split() for option in options.values()):
        return False
    return any(mention.start <= place < mention.end for mention in options_in(text[:CLAUSE], options))


def verdict(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option that is the yes or no with which a text begins."""
    match = _VERDICT.match(plain.text)
    if not match:
        return None
    said = option_named_by(match["word"], options)
    return found(said, "declared_text", plain, *match.span("word")) if said else None


def _behind_answer_sign(plain: Plain, start: int, options: Mapping[str, str]) -> Extraction | None:
    """Return what stands behind "A:" where it is short for "Answer": "A: The animal is a dog." with cat as option A."""
    said = options_in(plain.text[start:], options)
    letters = {mention.letter for mention in said}
    if not letters or "A" in letters:
        return None
    if len(letters) > 1 or len(sentences(plain.text[start:])) > 1 or len(plain.text.split()) > _SHORT:
        return unresolved("contradiction")
    return found(said[0].letter, "declared_text", plain, start + said[0].start, start + said[0].end)
