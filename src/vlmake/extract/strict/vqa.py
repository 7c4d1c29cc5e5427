"""The strict reading of an open answer: the text itself, without its frame."""

import re

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, emphasised, last_box, stripped
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, REFUSAL, after_retraction, sentences
from vlmake.extract.strict.figures import ASKS_NUMBER
from vlmake.extract.strict.frames import answer_in
from vlmake.extract.strict.overlap import content, coverage
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.vqa_fits import fits, of_the_kind
from vlmake.extract.strict.vqa_labels import ANSWER_HEADING, LABELLED, closing, labelled, of_several
from vlmake.extract.strict.vqa_peel import (
    announced,
    named_field,
    said_over,
    tidied,
    without_courtesy,
    without_lead,
    without_question,
)
from vlmake.extract.strict.vqa_shapes import (
    ASKS_TEXT,
    FRAME,
    IS_SENTENCE,
    VERB,
    WH,
    is_bare,
    is_cut,
    is_short,
    repeats,
    said_once,
    says_chinese,
    says_nothing,
)
from vlmake.extract.strict.yes_no import read_yes_no

_TRIES = 12  # declarations that are looked at, from the last on
_FEW_WORDS = 7  # words up to which a text without a verb is a phrase
_BARE = 100  # characters of a whole text that is taken as an answer
_CLAUSE = 2000  # characters in which a declaration says what it declares
# What may stand before an answer. A declaration inside a longer text counts only where a sentence or clause starts.
_DECLARATION = re.compile(
    r"(?:^|(?<=[\n.!?。;:,]))\s*(?:so|thus|therefore|hence|final answer)?[,:]?\s*(?:I\s+(?:think|believe|guess"
    r"|would\s+say)\s+(?:that\s+)?)?"
    r"(?:my\s+(?:best\s+)?guess\s+is|I(?:'d|\s+would)\s+(?:say|guess)(?:\s+(?:that\s+)?it(?:'s|\s+is))?)[\s:]+"
    r"|(?:^|(?<=[\n.!?。;:,]))\s*(?:so|thus|therefore|hence|final answer)?[,:]?\s*(?:I\s+(?:think|believe|guess"
    r"|would\s+say)\s+(?:that\s+)?)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|short)\s+)?answer\s*(?:to the question\s*)?(?:is|would\s+be"
    r"|should\s+be|must\s+be|:|=)[\s:]*"
    r"|(?:^|(?<=[\n。!?,:]))\s*(?:所以|因此|故)?[,]?\s*(?:最终|正确)?(?:答案|回答|答)(?:应该|应)?(?:是|为|:)[\s:]*",
    re.IGNORECASE,
)
_READ_ALL = re.compile(
    r"\b(?:transcribe|transcription|ocr|read\s+(?:out|all|the\s+text)|all\s+(?:the\s+)?(?:text|words)|what\s+(?:is"
    r"|are)\s+(?:the\s+)?(?:text|words|written|covered)"
    r"|text\s+in\s+the|recogni[sz]e|expression|formula|latex|restore|markdown|describe|explain|caption)\b|识别"
    r"|文字|公式|描述|全部内容|恢复",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"")
_FIRST_PERSON = re.compile(r"\bI\b|\bI'm\b|unable|cannot|can't|无法|我")
_UNANSWERED = re.compile(
    r"\b(?:is|are|was|it's|isn't|not)\s+(?:not\s+)?(?:possible\s+to|visible\b(?=[^.]{0,30}$)|provided|specified"
    r"|available|legible|readable|mentioned)"
    r"|\bdoes(?:\s+not|n't)\s+(?:provide|contain|specify|mention|indicate)|\bno\s+information\b|^\W*(?:n/a"
    r"|null)\W*$|没有(?:提供|显示|给出|标明)|未(?:提供|显示|给出|标明)",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\sor\s|或者?|还是", re.IGNORECASE)
_SENTENCE_LIKE = re.compile(
    VERB.pattern + r"|^\W*(?:it|this|that|he|she|they)\s|\b(?:wrote|painted)\s(?:it|this)|\b\w+'s\s|="
    r"|\b(?:costs?|means|measures|weighs|opens|closes|starts|won|count|called|made|labell?ed|points?)\b|[是为叫在有写做示]",
    re.IGNORECASE,
)
_CORRECTED = re.compile(r"(?<=[.!?…])\s+no,\s+|\bor\s+rather,?\s", re.IGNORECASE)
_REASON = re.compile(
    r"(?:,\s*|\s+)(?:because|since|as\s+(?:the|it|there|shown|indicated|seen)|which|given\s+that|based\s+on"
    r"|according\s+to)\s.*$|,因为.*$|(?<![\d)\s])\s+[-–—]\s+(?!\d).*$",
    re.IGNORECASE | re.DOTALL,
)
_NO_DECLARATION = re.compile(r"\W*(?:unclear|not\s+(?:clear|visible|provided)|unknown\b)|\W*$", re.IGNORECASE)
_IS_THE_ANSWER = re.compile(
    r"\W*([^.!?\n]{1,60}?)\s+is\s+the\s+(?:correct\s+|right\s+|final\s+)?answer\b", re.IGNORECASE
)
_POLAR_QUESTION = re.compile(
    r"^\W*(?:is|are|was|were|does|do|did|can|has|have|will|could|should)\b(?!.*\bor\b)|吗[?？]?\s*$"
    r"|是否",
    re.IGNORECASE,
)
_PLAN = re.compile(
    r"\W*(?:to\s+(?:find|compute|calculate|determine|get|solve|answer|figure)|first|let(?:'s|\s+(?:me|us))"
    r"|we\s+(?:need|have)\s+to|step\s+\d)\b|\W*(?:首先|先|要求)",
    re.IGNORECASE,
)
# An answer and, in one line, its reason: "Autumn, because …", "Autumn – the leaves …", "Autumn; …".
_HEAD = re.compile(
    r"\W*((?:[^\n,;:–—]|[:,–](?=\d)|:(?=\S)){1,60}?)(?:,\s+(?:because|since|as|which|given|based|due|judging|where|so|with|the|it|there"
    r"|they|he|she)\s|;\s|\s+(?:because|since)\s|(?<!\d)\s+[-–—]\s+|,(?:因为|由于|从|可以|这|图|上面|其|位于)"
    r"|\((?=[^()]*[\u4e00-\u9fff]{3}))"
)
_OR = re.compile(r"([\w'-]+)\s*,?\s+or\s+(?:the\s+|an?\s+)?([\w'-]+)\s*\?")
_NEGATION = re.compile(r"\bnot\b|n't\b|\bno\b|\bneither\b", re.IGNORECASE)
_ADVERBIAL = re.compile(
    r"\W*(?:in|on|at|behind|under|above|below|near|next|according|from|so|thus|therefore|hence|although|while"
    r"|since|as|because|if|with|to|by|for)\b|(?:所以|因此|根据|从|由|综上|图中|在)",
    re.IGNORECASE,
)
_SUBJECT_FIRST = re.compile(r"\W*(?:you|we|they|he|she|i|people|everyone)\s+\w+\s+\w+", re.IGNORECASE)
_MORE_GUESSES = re.compile(r"\W*(?:or\s+)?(?:maybe|perhaps|possibly|or)\b|\W*(?:也可能|或者|也许)", re.IGNORECASE)
_EXPLAINS = re.compile(r"\b(?:explanation|reason|because|since|see|note)\b|[.!?]\s*$", re.IGNORECASE)


def read_text(prediction: str | None, question: str | None = None) -> Extraction:
    """Return the answer in a prediction, without the sentence around it; unresolved where no one part is the answer.

    Layers: a box; a field of JSON; what follows the last "the answer is"; a short text as it stands; the first words
    before an explanation; bold text, a quotation or a value behind its label; what a sentence that repeats the
    question says beyond it. Refusals, alternatives, contradictions and texts that break off are unresolved. Where the
    question asks to read out a text, several lines are the answer; else they are none.

    Args:
        prediction: The model's text; None where it gave none.
        question: What was asked; without it only the layers up to the first words see an answer.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    box = last_box(final.plain)
    if box is not None and (answer := tidied(box, "boxed")):
        return answer
    plain = without_courtesy(without_question(core(final.plain), question))
    if not plain.text:
        return unresolved("empty")
    if field := last_field(plain) or named_field(plain, question):
        said = None if field.text.lower() in ("null", "none") else tidied(field, "field")
        return said or unresolved("abstained")
    for declared in list(_DECLARATION.finditer(plain.text))[: -_TRIES - 1 : -1]:
        clause = _clause(plain, declared.end())
        if announced(plain.text, declared) or REFUSAL.match(clause.text) or _NO_DECLARATION.match(clause.text):
            continue
        if answer := _declared(clause, question):
            if _disputed_before(answer, plain, declared.start(), question):
                return unresolved("contradiction")
            return _undisputed(answer, plain, declared.end() + len(clause.text), question)
    if backward := _IS_THE_ANSWER.match(plain.text):
        return tidied(plain.part(*backward.span(1)), "declared") or unresolved("empty")
    return _undeclared(plain, final.plain, question)


def _disputed_before(answer: Extraction, plain: Plain, end: int, question: str | None) -> bool:
    """Return whether the line or sentence right before a declaration declares something else in the same words."""
    before = list(_DECLARATION.finditer(plain.text, 0, end))
    if not before or re.match(r"\W*(?:final|so|thus|therefore|correct)", plain.text[end:], re.IGNORECASE):
        return False
    clause = _clause(plain.part(0, end), before[-1].end())
    said = _declared(clause, question)
    gap = plain.text[before[-1].end() + len(clause.text) : end].strip(" .\n*")
    return said is not None and not gap and str(said.answer).lower() != str(answer.answer).lower()


def _declared(clause: Plain, question: str | None) -> Extraction | None:
    """Return what a declaration declares, without its reasons and without the sentence around it."""
    if reason := _REASON.search(clause.text):
        clause = clause.part(0, reason.start())
    if question and (said := _framed(clause, question)):
        return said._replace(rule="declared", confidence="high") if said.found else None
    return tidied(without_lead(clause), "declared")


def _clause(plain: Plain, start: int) -> Plain:
    """Return the first line from ``start`` on, up to where a further sentence begins."""
    lead = len(plain.text) - len(plain.text[start:].lstrip())
    spans = sentences(plain.text[lead : lead + _CLAUSE].partition("\n")[0])
    return plain.part(lead, lead + spans[0][1]) if spans else plain.part(start, start)


def _undisputed(answer: Extraction, plain: Plain, end: int, question: str | None) -> Extraction:
    """Return a declared answer, unless a sentence behind it answers the question otherwise."""
    for start, stop in sentences(plain.text[end:]):
        said = answer_in(plain.part(end + start, end + stop), question or "")
        if said is None or not question or coverage(content(question), plain.text[end + start : end + stop]) < 0.5:
            continue
        if said.text.lower() not in str(answer.answer).lower() and str(answer.answer).lower() not in said.text.lower():
            return unresolved("contradiction")
    return answer


def _undeclared(plain: Plain, marked: Plain, question: str | None) -> Extraction:
    """Return the answer of a text that declares none."""
    text = plain.text
    spans = sentences(text)
    if repeated := said_over(plain):
        return repeated
    reads_out = (
        question is None
        or _READ_ALL.search(question) is not None
        or (ASKS_TEXT.search(question) is not None and not VERB.search(text))
    )
    taken_back = after_retraction(text)
    if taken_back is None and (corrected := _CORRECTED.search(text)):
        taken_back = corrected.end()
    if taken_back is not None and not reads_out:
        plain, marked = stripped(plain.part(taken_back, len(text))), plain
        text, spans = plain.text, sentences(plain.text)
    if (
        question
        and _POLAR_QUESTION.search(question)
        and not WH.search(question)
        and (said := read_yes_no(text, question)).found
        and said.start is not None
    ):
        return tidied(plain.part(said.start, said.end or len(text)), "first_words") or unresolved("empty")
    declined = REFUSAL.search(_QUOTED.sub(" ", text))
    if (
        (declined and not (reads_out and len(spans) == 1 and not _FIRST_PERSON.search(text)))
        or _UNANSWERED.search(text)
        or (HEDGE.search(text) and len(spans) < 3 and not reads_out)
    ):
        return unresolved("refusal")
    if (once := said_once(plain)) is not None:
        plain, text, spans = once, once.text, sentences(once.text)
    if question and (problem := says_nothing(text, question)):
        return unresolved(problem)
    if len(spans) > 1 and any(_MORE_GUESSES.match(text[slice(*span)]) for span in spans[1:]) and not reads_out:
        return unresolved("several_answers")
    if is_cut(text, spans):
        return unresolved("truncated")
    if question is None:
        return tidied(without_lead(plain), "whole_text") or unresolved("empty")
    if len(spans) == 1 and (value := labelled(plain, question)):
        return value
    head = _HEAD.match(text)
    if (
        head
        and not content(head[1]) <= content(question)
        and len(spans) == 1
        and not reads_out
        and not _ADVERBIAL.match(text)
        and is_bare(head[1])
        and (VERB.search(text, head.end()) or not text.isascii())
    ):
        return tidied(plain.part(*head.span(1)), "first_words") or unresolved("empty")
    if len(spans) == 1 and is_short(text):
        if framed := _either(plain, question) or _framed(plain, question):
            return framed
        bare = without_lead(plain)
        if (
            bare is plain
            and not reads_out
            and (IS_SENTENCE.match(text) or repeats(text, question) or says_chinese(text, question))
            and (VERB.search(text) or IS_SENTENCE.match(text) or not text.isascii() or len(text.split()) > _FEW_WORDS)
            and not ASKS_TEXT.search(question)
        ):
            return unresolved("sentence")
        if ASKS_NUMBER.search(question) and re.search(r"\w\s+or\s+\w", text):
            return unresolved("several_answers")
        if text.count(":") > 1 and re.search(r":\s[^:]+[,;]\s[^:]+:\s", text):
            return of_several(plain, question) or unresolved("several_answers")
        if not reads_out and not ASKS_TEXT.search(question) and _SUBJECT_FIRST.match(text):
            return unresolved("sentence")
        return tidied(bare, "short_text") or unresolved("empty")
    if len(spans) > 1 and is_bare(text[slice(*spans[0])]) and "\n|" not in text and not text.startswith(("|", "-")):
        first = plain.part(*spans[0])
        rest = text[spans[0][1] :]
        heading = ANSWER_HEADING.fullmatch(first.text.strip()) or content(first.text) <= content(question)
        if (
            len(spans) == 2
            and not heading
            and is_bare(rest)
            and not reads_out
            and len(rest.split()) <= 2
            and len(first.text.split()) <= 2
        ):
            return unresolved("several_answers")
        if (
            (VERB.search(rest) or _EXPLAINS.search(rest) or sum("\u4e00" <= letter <= "\u9fff" for letter in rest) >= 8)
            and not reads_out
            and not content(first.text) <= content(question)
        ):
            return tidied(first, "first_words") or unresolved("empty")
    return closing(plain, question) or _restated(plain, marked, question) or _whole(plain, question, reads_out)


def _whole(plain: Plain, question: str, reads_out: bool) -> Extraction:
    answer = tidied(without_lead(plain), "full_text" if reads_out else "whole_text") or unresolved("empty")
    bare = not VERB.search(plain.text) and not _SENTENCE_LIKE.search(plain.text) and len(plain.text) <= _BARE
    if reads_out or (len(sentences(plain.text)) == 1 and bare and of_the_kind(plain.text, question)):
        return answer
    return unresolved("several_sentences" if len(sentences(plain.text)) > 1 else "sentence")


def _restated(plain: Plain, marked: Plain, question: str) -> Extraction | None:
    """Return the answer of the concluding, the last or the first sentence that speaks of what was asked."""
    text = plain.text
    spans = sentences(text)
    bold = [piece for piece in emphasised(marked) if piece.places[0] >= plain.places[0]]
    asked = content(question)
    best: list[tuple[float, int, Plain, str]] = []
    for place, (start, end) in enumerate(spans):
        sentence = plain.part(start, end)
        if (
            HEDGE.search(sentence.text)
            or (_PLAN.match(sentence.text) and place < len(spans) - 1)
            or sentence.text.rstrip().endswith((":", "?"))
            or sentence.text.lstrip().startswith("|")
        ):
            continue
        inside = [piece for piece in bold if sentence.places[0] <= piece.places[0] <= sentence.places[-1]]
        said, rule = answer_in(sentence, question, alone=len(spans) == 1), "restated"
        whole = len(inside) == 1 and len(inside[0].text.strip(FRAME)) > 0.8 * len(sentence.text.strip(FRAME))
        if (
            len(inside) == 1
            and not (whole and said)
            and content(inside[0].text) - asked | ({"1"} if not content(inside[0].text) else set())
        ):
            said, rule = stripped(inside[0], FRAME), "emphasised"
        if (
            said is None
            and (labelled_part := LABELLED.fullmatch(sentence.text.strip("- .")))
            and coverage(asked, labelled_part["label"]) > 0
        ):
            offset = sentence.text.index(labelled_part["value"], sentence.text.index(":"))
            said, rule = sentence.part(offset, offset + len(labelled_part["value"])), "labelled"
        concludes = CONCLUDES.match(sentence.text.strip()) is not None
        if concludes and said is None and place == len(spans) - 1:
            return None  # the conclusion says something else than the sentences before
        if said is not None and said.text and fits(said, sentence, question):
            weight = (
                coverage(asked, sentence.text)
                + concludes
                + (0.5 if place == len(spans) - 1 else 0.2 if not place else 0)
            )
            best.append((weight, place, said, rule))
    if not best:
        return None
    if len(spans) <= 3 and _contrary([entry[2].text for entry in best if entry[0] >= 0.5 and entry[3] != "labelled"]):
        return unresolved("contradiction")
    weight, _, said, rule = max(best, key=lambda entry: entry[:2])
    if _ALTERNATIVES.search(said.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    rivals = {entry[2].text.lower() for entry in best if entry[0] >= weight - 0.35 and entry[3] != "labelled"}
    if weight < 0.5 or (len(rivals) > 1 and len(spans) <= 3 and weight < 1.4):
        return unresolved("several_answers")
    return tidied(said, rule)


def _contrary(answers: list[str]) -> bool:
    """Return whether answers of several sentences are not all the same one, told at more or less length."""
    texts = [text.lower() for text in answers]
    longest = max(texts, key=len, default="")
    return any(not (content(text) & content(longest)) and text not in longest for text in texts)


def _framed(plain: Plain, question: str) -> Extraction | None:
    """Return the answer of a short text that repeats its question ("Room 906", "It means exit")."""
    like = (
        _SENTENCE_LIKE.search(plain.text) is not None
        or says_chinese(plain.text, question)
        or "%" in plain.text
        or repeats(plain.text, question)
        or re.search("[多几]", question)
    )
    said = answer_in(plain, question, alone=True) if like else None
    if (
        said is None
        and (lead := re.match(r"[A-Za-z]+\s+(?=\S*\d)", plain.text))
        and content(lead[0]) <= content(question)
    ):
        said = plain.part(lead.end(), len(plain.text))
    if said is not None and _ALTERNATIVES.search(said.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    if said is None or not said.text:
        return None
    if fits(said, plain, question):
        return tidied(said, "restated")
    return unresolved("sentence") if VERB.search(plain.text) or says_chinese(plain.text, question) else None


def _either(plain: Plain, question: str) -> Extraction | None:
    """Return which of two alternatives of a question ("day or night?") a sentence names."""
    match = _OR.search(question)
    if not match or _NEGATION.search(plain.text):
        return None
    named = [
        place
        for word in match.groups()
        for place in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", plain.text, re.IGNORECASE)
    ]
    return tidied(plain.part(*named[0].span()), "restated") if len(named) == 1 else None
