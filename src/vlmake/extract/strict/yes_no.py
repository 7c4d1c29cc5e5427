"""The strict reading of an answer to a yes-or-no question, English or Chinese."""

import re

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, last_box
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, REFUSAL, after_retraction, breaks_off, sentences
from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.polar import coded, counted, not_seen
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.statement import denies, echoed, one_word, polarity
from vlmake.extract.strict.statement_asked import Asked, asked_for
from vlmake.extract.strict.yes_no_openings import (
    ANNOUNCES,
    COURTEOUS,
    LEADING_ZH,
    misses_the_picture,
    opened,
    without_question,
)
from vlmake.extract.strict.yes_no_words import (
    PAIR,
    QUOTED,
    SIGNS,
    Mention,
    declared,
    mention,
    only_word,
    under_condition,
    verdicts,
)

_LIST_ITEM = re.compile(r"^[ \t]*(?:[-•|]|\d+[.)]|\([a-z]\)).*$", re.MULTILINE)
_REACH = 48  # characters before a verdict in which "so" can stand
_SHORT_TEXT = 120  # characters of a text whose last clause may echo the question
_FEW = 3  # sentences in which a verdict anywhere is the text's
_TRUTH = re.compile(
    r"(?:说法|描述|表述|观点|结论|陈述|命题)(?:是|为)?(?:(?P<no>不(?:正确|准确|成立|对|符合|属实)|错误|错的|有误)"
    r"|正确|准确|成立|符合|属实|对(?=[。,的]|$))"
    r"|\b(?:statement|claim|assertion|caption|description)\s+is\s+(?P<not>not\s+|in(?=correct|accurate)|un(?=true)"
    r"|(?=false|wrong))?(?:correct|accurate|true|false|wrong|right)\b",
    re.IGNORECASE,
)
_HAS = re.compile(r"\s*(?P<word>有)(?=\s*[A-Za-z一两几个,。只])(?![点些时]|[^,。]{0,6}可能)")
_TURNS = re.compile(r"\W*(?:however|but|yet|although|actually|但是?|然而|不过|可是)[,\s]*", re.IGNORECASE)
_TURN = re.compile(r"\b(?:but|however|actually|in\s+fact|really|yet)\b|但|其实|实际上|不过|然而", re.IGNORECASE)
_QUOTED_ANY = re.compile(r"[\"“「][^\"”」\n]{1,80}[\"”」]")
_ANSWERS_ITSELF = re.compile(r"(?P<asked>[^.?!\n]{6,200})\?\s*(?P<word>yes|no)\b(?=\s*[.,!;]|\s*$)", re.IGNORECASE)
_CAN, _ASKS_CAN = re.compile("可以"), re.compile("可以|能|可")
_OPEN_PAIR = re.compile(
    r"(?:answer|verdict|conclusion|答案|回答)\s*(?:is|:|是|为)\s*[\"'(\[]*(?:yes\s*(?:/|or)\s*no|no\s*(?:/|or)\s*yes|是\s*[/或]\s*否)",
    re.IGNORECASE,
)


def read_yes_no(prediction: str | None, question: str | None = None) -> Extraction:
    """Return Yes or No as a careful reader takes the prediction, else unresolved.

    Layers: a box; a field of JSON; a word or sign alone; the last "the answer is …" (答案是…); the verdict with which
    the text concludes or begins; words that stand alone as a verdict, all of which must agree; a sentence that states
    what was asked. What a text takes back does not count, and a verdict beside its contrary is a contradiction.

    Args:
        prediction: The model's text; None where it gave none.
        question: What was asked, for the last layer.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    asked = asked_for(question)
    box = last_box(final.plain)
    plain = core(final.plain)
    for piece, rule in ((box, "boxed"), (last_field(plain), "field"), (plain, "verdict")):
        if piece is not None and (only := only_word(piece.text)):
            start = piece.text.lower().index(only[1])
            return found(only[0], rule, piece, start, start + len(only[1]))
    if box is not None and (said := polarity(box.text, asked)) and box.text:
        return found(said, "boxed", box, 0, len(box.text))
    plain = without_question(plain, question)
    taken_back = after_retraction(plain.text)
    if taken_back is None:
        return _read(plain, asked, question)
    answer = _read(plain.part(taken_back, len(plain.text)), asked, question)
    return answer if answer.found else unresolved("retracted")


def _read(plain: Plain, asked: Asked, question: str | None) -> Extraction:
    """Return what a text answers from where it takes nothing back."""
    if misses_the_picture(plain.text, asked.core):
        return unresolved("refusal")
    courteous = COURTEOUS.match(plain.text)
    if not courteous:
        return _said(plain, asked, question)
    answer = _said(plain.part(courteous.end(), len(plain.text)), asked, question)
    if _CAN.match(courteous["only"] or "") and _ASKS_CAN.search(asked.core) and answer.answer != "No":
        return found("Yes", "leading_word", plain, *courteous.span("only"))
    if courteous["agrees"] and answer.answer == "No":
        return unresolved("contradiction")
    if answer.found or answer.rule != "none" or courteous["only"] or ANNOUNCES.match(plain.text, courteous.end()):
        return answer
    return found("Yes", "leading_word", plain, *courteous.span("yes" if courteous["yes"] else "agrees"))


def _said(plain: Plain, asked: Asked, question: str | None) -> Extraction:
    """Return what a text says, layer by layer."""
    blank = lambda match: " " * len(match[0])  # noqa: E731  # places must not move
    paired = PAIR.sub(blank, plain.text)
    text = QUOTED.sub(blank, paired)
    if _OPEN_PAIR.search(plain.text):
        return unresolved("both_words")
    if itself := [m for m in _ANSWERS_ITSELF.finditer(text) if question and content(m["asked"]) >= asked.words]:
        return _found(plain, mention(itself[-1], "word"), "verdict")
    if answers := list(declared(paired, question)):
        return _last_declared(plain, answers)
    said = verdicts(text, question)
    leading = next((verdict for verdict in said if not any(map(str.isalnum, text[: verdict.start]))), None)
    concluded = _concluded(text, said)
    if leading and concluded and leading.answer != concluded.answer:
        return unresolved("contradiction")
    if concluded:
        return _found(plain, concluded, "verdict")
    if leading:
        return _checked(plain, leading, asked, said)
    return _worded(plain, text, asked, question) or _weak(plain, text, said, asked, question)


def _worded(plain: Plain, text: str, asked: Asked, question: str | None) -> Extraction | None:
    """Return what a text says in other words than a verdict: its first words, a sign, a statement."""
    if (opening := opened(text)) and not under_condition(text, *opening[1:], question):
        return found(opening[0], "leading_word", plain, *opening[1:])
    if (sign := _signed(text)) is not None:
        return found(SIGNS[text[sign]], "leading_word", plain, sign, sign + 1)
    if truth := _TRUTH.search(text):
        denied = truth["no"] is not None or truth["not"] is not None
        return found("No" if denied else "Yes", "statement", plain, *truth.span())
    if (answer := coded(plain.text, question or "")) or (answer := one_word(plain.text, asked)):
        return found(answer, "statement", plain, 0, len(plain.text))
    if absent := not_seen(text, asked.words):
        return found("No", "statement", plain, *absent.span())
    return _counted(plain, question) or _stated(plain, asked)


def _weak(plain: Plain, text: str, said: list[Mention], asked: Asked, question: str | None) -> Extraction:
    """Return what verdicts inside the text say where they agree, or a sentence that begins with one."""
    items = [match.span() for match in _LIST_ITEM.finditer(text)]
    loose = [verdict for verdict in said if not any(start <= verdict.start < end for start, end in items)]
    if len({verdict.answer for verdict in loose}) > 1:
        turned = _TURN.search(text[loose[-2].end : loose[-1].start])
        return (
            _found(plain, loose[-1], "verdict")
            if turned and text[: loose[0].start].strip()
            else unresolved("contradiction")
        )
    spans = sentences(text)
    edges = bool(loose) and (
        len(spans) <= _FEW
        or any(spans[n][0] <= loose[-1].start < spans[n][1] for n in (0, -1))
        or text.rfind("\n", 0, loose[-1].start) >= text.rstrip().rfind("\n") > 0
    )
    if edges and not HEDGE.search(text) and not breaks_off(text):
        return _found(plain, loose[-1], "verdict")
    if (leading := LEADING_ZH.match(text)) and not asked.negated:
        said_first = "no" if leading["no"] else "yes"
        return found(said_first.title(), "leading_word", plain, *leading.span(said_first))
    if re.search("有没有|有无|有[^?？]*吗", question or "") and (has := _HAS.match(text)):
        return found("Yes", "leading_word", plain, *has.span("word"))
    if REFUSAL.search(text):
        return unresolved("refusal")
    return unresolved("both_words" if PAIR.search(plain.text) else "none")


def _last_declared(plain: Plain, said: list[Mention | None]) -> Extraction:
    """Return the last declaration; two that differ side by side, with no word of correction between, are none."""
    last = said[-1]
    if last is None:
        return unresolved("negated")
    before = said[-2] if len(said) > 1 else None
    if before and before.answer != last.answer and len(sentences(plain.text[before.end : last.start])) <= 2:
        between = plain.text[before.end : last.start].lower()
        if not re.search(r"but|however|final|now|then|first|correct(?:ed|ion)|最终|但", between):
            return unresolved("contradiction")
    return _found(plain, last, "declared")


def _checked(plain: Plain, leading: Mention, asked: Asked, others: list[Mention]) -> Extraction:
    """Return the verdict with which a text begins, unless its first sentence or a later verdict says the contrary."""
    rest = _QUOTED_ANY.sub(lambda match: " " * len(match[0]), plain.text[leading.end :])
    said = [rest[slice(*span)].strip(" ,.;:!。") for span in sentences(rest)]
    first = next((sentence for sentence in said[:2] if sentence), "")
    said_first = next(
        (v for v in others if v is not leading and len(plain.text[leading.end : v.start].split()) <= 1), None
    )
    if said_first and said_first.answer != leading.answer:
        return unresolved("contradiction")
    if leading.answer == "Yes" and denies(first, asked):
        return unresolved("contradiction")
    later: list[str | None] = []
    for sentence in said[1:]:
        if CONCLUDES.match(sentence):
            later.append(polarity(sentence, asked))
        elif turn := _TURNS.match(sentence):
            later.append("No" if denies(sentence[turn.end() :], asked) else None)
    if any(answer and answer != leading.answer for answer in later):
        return unresolved("contradiction")
    return _found(plain, leading, "verdict")


def _concluded(text: str, verdicts: list[Mention]) -> Mention | None:
    """Return the last verdict that follows "so" or closes the text."""
    for verdict in reversed(verdicts):
        before = text[max(0, verdict.start - _REACH) : verdict.start]
        marks = list(CONCLUDES.finditer(before))
        if (
            marks
            and len(before[marks[-1].end() :].split()) <= 2
            and not re.search(r"[.!?]\s", before[marks[-1].end() :])
        ):
            return verdict
        if not text[verdict.end :].strip(" .!。\"')*") and re.search(r"(?:[:,–—.!。-]|\n)\s*[\"']?$", before):
            return verdict
    return None


def _signed(text: str) -> int | None:
    """Return where the one sign stands with which the text or its last line begins."""
    last = text.rstrip().rfind("\n") + 1
    places = [place for place in sorted({0, last}) if text[place : place + 1] in SIGNS]
    return places[0] if len(places) == 1 and sum(letter in SIGNS for letter in text) == 1 else None


def _stated(plain: Plain, asked: Asked) -> Extraction | None:
    """Return what the concluding, the last or the first sentence that answers the question states."""
    text = plain.text
    if not asked.words or not text.strip() or breaks_off(text):
        return None
    first = re.match(r"[^,;。.!?]{1,12}", text)
    spans = sentences(text)
    echo = echoed(first[0], asked) if first else None
    if (
        not echo
        and len(text) <= _SHORT_TEXT
        and (closing_clause := re.search(r"[^,;:。.!?]{1,12}(?=[.。!]?\s*$)", text))
    ):
        first = closing_clause
        echo = echoed(first[0], asked)
    said = [(None if text[end - 1] == "?" else polarity(text[start:end], asked), start, end) for start, end in spans]
    answers = [(answer, start, end) for answer, start, end in said if answer]
    closing = [entry for entry in answers if CONCLUDES.search(text, *entry[1:])]
    if echo and not any(answer != echo for answer, _, _ in answers) and first:
        return found(echo, "statement", plain, *first.span())
    if echo:
        return unresolved("contradiction")
    if closing:
        return found(str(closing[-1][0]), "statement", plain, *_trim(text, *closing[-1][1:]))
    last = text[slice(*spans[-1])]
    if not answers or REFUSAL.search(last) or HEDGE.search(last):
        return None
    if len({answer for answer, _, _ in answers}) > 1:
        answers = [entry for entry in answers if entry[1] == spans[-1][0]]
    return found(str(answers[-1][0]), "statement", plain, *_trim(text, *answers[-1][1:])) if answers else None


def _counted(plain: Plain, question: str | None) -> Extraction | None:
    """Return what the one sentence says that counts what the question compares."""
    said = [(counted(plain.text[slice(*span)], question or ""), span) for span in sentences(plain.text)[:_FEW]]
    answers = {answer for answer, _ in said if answer}
    if len(answers) != 1 or HEDGE.search(plain.text):
        return None
    span = next(span for answer, span in said if answer)
    return found(answers.pop(), "statement", plain, *_trim(plain.text, *span))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    return end - len(text[start:end].lstrip()), end


def _found(plain: Plain, mention: Mention, rule: str) -> Extraction:
    return found(mention.answer, rule, plain, mention.start, mention.end)
