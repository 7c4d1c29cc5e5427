"""The open answer of a text that declares none: a few words, the words before an explanation, a sentence."""

import re
from typing import NamedTuple

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.discourse import HEDGE, REFUSAL, after_retraction, sentences
from vlmake.extract.strict.figures import ASKS_NUMBER
from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.vqa_contrast import colour_of, meant, only_denies, paired, qualified
from vlmake.extract.strict.vqa_fits import of_the_kind
from vlmake.extract.strict.vqa_labels import ANSWER_HEADING, closing, labelled, of_several
from vlmake.extract.strict.vqa_peel import said_over, tidied, without_lead
from vlmake.extract.strict.vqa_sentences import either, framed, restated
from vlmake.extract.strict.vqa_shapes import (
    ASKS_TEXT,
    IS_SENTENCE,
    SENTENCE_LIKE,
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

_FEW_WORDS = 7  # words up to which a text without a verb is a phrase
_FEW_SENTENCES = 3  # sentences of a text whose values are told apart by their qualifiers
_MANY_SENTENCES = 4  # sentences from which on one that is cut off at the end takes nothing away
_ACTS = re.compile(
    r"\W*(?:the|an?|this|that|these|those|his|her|their|its)\s+(?:[\w'-]+\s+){1,4}?(?:beat|won|lost|defeated|dropped|rose|fell|increased"
    r"|decreased|grew|went|came|belongs?|sells?|sold|bought|scored|leads|follows|equals|represents|indicates|plays|rides|runs"
    r"|eats|drinks|carries|pulls|pushes|feeds|makes|made|takes|took|gets|got|starts|ends|depicts|features)\s+\w+",
    re.IGNORECASE,
)
_BARE = 100  # characters of a whole text that is taken as an answer
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
_NOT_SHOWN = re.compile(
    r"\b(?:is|are|was|were)(?:n't|\s+not)\s+(?:clearly\s+|explicitly\s+|directly\s+|fully\s+)?(?:shown|visible|given|stated|displayed|listed|indicated|included"
    r"|present|readable|legible|clear|known|printed|written|identifiable)\b(?![^.]*\bbut\b)|^\W*(?:unanswerable|unsuitable(?:\s+image)?|unreadable|not\s+visible"
    r"|not\s+(?:shown|given|stated|mentioned|specified|available|legible))\W*$|(?:没有|并?未)(?:写|标|显|印)[^,。]{0,6}[。.]?$",
    re.IGNORECASE,
)
_TITLED = re.compile(r"\b(?:titled?|name|called|book|song|film|movie|slogan|headline|motto|caption)\b", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\s\([^()]*\)")
_CORRECTED = re.compile(
    r"(?<=[.!?…])\s+no,\s+|\bor\s+rather,?\s|(?<=\w),\s+sorry,\s+|(?<=\w[.!…])\s+sorry,\s[^:.\n]{0,60}[:.]\s+(?=\S)",
    re.IGNORECASE,
)
_POLAR_QUESTION = re.compile(
    r"^\W*(?!(?:can|could)\s+you\s+(?:read|tell|give|find|name|identify|describe|list)\b)(?:is|are|was|were|does|do|did|can|has|have|will|could|should)\b(?!.*\bor\b)|吗[?？]?\s*$"
    r"|是否",
    re.IGNORECASE,
)
# An answer and, in one line, its reason: "Autumn, because …", "Autumn – the leaves …", "Autumn; …".
_HEAD = re.compile(
    r"\W*((?:[^\n,;:–—]|[:,–](?=\d)|:(?=\S)){1,60}?)(?:,\s+(?:because|since|as|which|given|based|due|judging|where|so|with|the|it|there"
    r"|they|he|she)\s|;\s|\s+(?:because|since)\s|(?<!\d)\s+[-–—]\s+|,(?:因为|由于|从|可以|这|图|上面|其|位于)"
    r"|\((?=[^()]*[\u4e00-\u9fff]{3}))"
)
_ADVERBIAL = re.compile(
    r"\W*(?:in|on|at|behind|under|above|below|near|next|according|from|so|thus|therefore|hence|although|while"
    r"|since|as|because|if|with|to|by|for)\b|(?:所以|因此|根据|从|由|综上|图中|在)",
    re.IGNORECASE,
)
_SUBJECT_FIRST = re.compile(r"\W*(?:you|we|they|he|she|i|people|everyone)\s+\w+\s+\w+", re.IGNORECASE)
_MORE_GUESSES = re.compile(r"\W*(?:or\s+)?(?:maybe|perhaps|possibly|or)\b|\W*(?:也可能|或者|也许)", re.IGNORECASE)
_EQUATION = re.compile(r"=|\\(?:int|lim|sum|frac)")
_MENDED = re.compile(r"\b(?:wrong|incorrect|should\s+(?:be|read))\b|错误|应为|应该是|应是")
_EXPLAINS = re.compile(r"\b(?:explanation|reason|because|since|see|note)\b|[.!?]\s*$", re.IGNORECASE)


class _Text(NamedTuple):
    """A text that declares no answer, the same with marks, its question, and whether that asks to read out a text."""

    plain: Plain
    marked: Plain
    question: str
    reads_out: bool

    @property
    def text(self) -> str:
        return self.plain.text

    @property
    def spans(self) -> list[tuple[int, int]]:
        return sentences(self.plain.text)


def undeclared(plain: Plain, marked: Plain, question: str | None) -> Extraction:
    """Return the answer of a text that declares none."""
    if repeated := said_over(plain):
        return repeated
    reads_out = (
        question is None
        or _READ_ALL.search(question) is not None
        or (ASKS_TEXT.search(question) is not None and not VERB.search(plain.text))
    )
    given = _Text(plain, marked, question or "", reads_out)
    taken_back = None if reads_out else _taken_back(plain.text)
    if taken_back is not None:
        given = given._replace(plain=stripped(plain.part(taken_back, len(plain.text))), marked=plain)
        if last := _figure_at_the_end(given):
            return last
    if polar := _polar(given):
        return polar
    if _declines(given):
        return unresolved("refusal")
    if (once := said_once(given.plain)) is not None:
        given = given._replace(plain=once)
    if question and (contrasted := _contrasted(given)):
        return contrasted
    if question and (problem := says_nothing(given.text, question)):
        return unresolved(problem)
    if any(_MORE_GUESSES.match(given.text[slice(*span)]) for span in given.spans[1:]) and not reads_out:
        return unresolved("several_answers")
    if is_cut(given.text, given.spans):
        if len(given.spans) <= _MANY_SENTENCES:
            return unresolved("truncated")
        return _before_the_cut(given)
    if question is None:
        return tidied(without_lead(given.plain), "whole_text") or unresolved("empty")
    answer = _layered(given)
    if not answer.found and (colour := colour_of(given.plain, question, only=True)) and len(given.spans) == 1:
        return tidied(colour, "restated") or answer
    return answer


def _before_the_cut(given: _Text) -> Extraction:
    """Return the answer of a long text that is cut off at its end, where its first sentence gives it."""
    first, last = given.spans[0], given.spans[-2]
    answer = _layered(given._replace(plain=given.plain.part(0, last[1])))
    if answer.start is None or answer.start < given.plain.places[first[1] - 1]:
        return answer
    return unresolved("truncated")


def _layered(given: _Text) -> Extraction:
    """Return the answer of the first layer that has one."""
    for layer in (_labelled, _before_its_reason, _short, _first_words):
        if answer := layer(given):
            return answer
    return (
        closing(given.plain, given.question)
        or restated(given.plain, given.marked, given.question)
        or _whole(given.plain, given.question, given.reads_out)
    )


def _taken_back(text: str) -> int | None:
    """Return where a text goes on after it last took something back, or None."""
    corrected = _CORRECTED.search(text)
    place = after_retraction(text)
    return place if place is not None else corrected.end() if corrected else None


def _figure_at_the_end(given: _Text) -> Extraction | None:
    """Return the figure that alone is the last sentence, where a text has counted again."""
    spans = given.spans
    if len(spans) < 2 or not re.fullmatch(r"\W*\S{0,2}\d[\d.,:%]*\W*", given.text[slice(*spans[-1])]):
        return None
    return tidied(given.plain.part(*spans[-1]), "short_text")


def _polar(given: _Text) -> Extraction | None:
    """Return the Yes or No that answers a question for one."""
    if not _POLAR_QUESTION.search(given.question) or WH.search(given.question):
        return None
    said = read_yes_no(given.text, given.question)
    if not said.found or said.start is None:
        return None
    return tidied(given.plain.part(said.start, said.end or len(given.text)), "first_words") or unresolved("empty")


def _declines(given: _Text) -> bool:
    """Return whether a text gives no answer: it cannot see, nothing is shown, it could be this or that."""
    text, spans = given.text, given.spans
    refused = REFUSAL.search(_QUOTED.sub(" ", text)) is not None
    reading = given.reads_out and len(spans) == 1 and not _FIRST_PERSON.search(text)
    unsure = HEDGE.search(text) is not None and len(spans) < 3 and not given.reads_out
    unshown = len(spans) < 3 and not given.reads_out and _NOT_SHOWN.search(text) is not None
    return (refused and not reading) or _UNANSWERED.search(text) is not None or unsure or unshown


def _contrasted(given: _Text) -> Extraction | None:
    """Return the value that the question means where a text tells several, or denies one."""
    if given.reads_out and _MENDED.search(given.text) and (value := qualified(given.plain, given.question)):
        return tidied(value, "restated")
    if given.reads_out or len(given.spans) > _FEW_SENTENCES:
        return None
    if ASKS_TEXT.search(given.question) is None and len(given.spans) == 1:
        if (value := meant(given.plain)) is not None and len(value.text.split()) <= _FEW_WORDS:
            return tidied(value, "restated")
        if only_denies(given.text) and WH.search(given.question):
            return unresolved("negated")
    for reader in (paired, qualified, colour_of):
        value = reader(given.plain, given.question)
        if value is not None:
            return (tidied(value, "restated") if value.text else None) or unresolved("several_answers")
    return None


def _labelled(given: _Text) -> Extraction | None:
    return labelled(given.plain, given.question) if len(given.spans) == 1 else None


def _before_its_reason(given: _Text) -> Extraction | None:
    """Return the words before a reason: "Autumn, because the leaves are red"."""
    head = _HEAD.match(given.text)
    if (
        head
        and not content(head[1]) <= content(given.question)
        and len(given.spans) == 1
        and not given.reads_out
        and not _ADVERBIAL.match(given.text)
        and is_bare(head[1])
        and (VERB.search(given.text, head.end()) or not given.text.isascii())
    ):
        return tidied(given.plain.part(*head.span(1)), "first_words") or unresolved("empty")
    return None


def _short(given: _Text) -> Extraction | None:
    """Return a short text as it stands, or the answer of a short sentence."""
    text, question = given.text, given.question
    if len(given.spans) != 1 or not is_short(text):
        return None
    if answer := either(given.plain, question) or framed(given.plain, question):
        return answer
    bare = without_lead(given.plain)
    if bare is given.plain and _is_sentence(given):
        return unresolved("sentence")
    if ASKS_NUMBER.search(question) and re.search(r"\w\s+or\s+\w", text):
        return unresolved("several_answers")
    if text.count(":") > 1 and re.search(r":\s[^:]+[,;]\s[^:]+:\s", text):
        return of_several(given.plain, question) or unresolved("several_answers")
    if _repeats_the_thing(text, question):
        return unresolved("no_answer")
    return tidied(bare, "short_text") or unresolved("empty")


def _repeats_the_thing(text: str, question: str) -> bool:
    """Return whether a text is nothing but the thing whose price or name was asked for: "The sandwich"."""
    thing = re.match(r"\W*the\s+([\w\s'-]+?)\W*$", text, re.IGNORECASE)
    return (
        thing is not None
        and re.search(rf"\bof\s+the\s+{re.escape(thing[1])}\b", question, re.IGNORECASE) is not None
        and not re.search(r"\b(?:or|and|between|among)\b", question, re.IGNORECASE)
    )


def _is_sentence(given: _Text) -> bool:
    """Return whether a short text is a sentence, of which no one part was found to be the answer."""
    text = given.text
    if given.reads_out or ASKS_TEXT.search(given.question):
        return False
    if _SUBJECT_FIRST.match(text) or _ACTS.match(text):
        return True
    if (
        VERB.search(_IN_BRACKETS.sub("", text), 1)
        and len(text.split()) > _FEW_WORDS - 3
        and not _TITLED.search(given.question)
    ):
        return True
    about = IS_SENTENCE.match(text) or repeats(text, given.question) or says_chinese(text, given.question)
    built = VERB.search(text) or IS_SENTENCE.match(text) or not text.isascii() or len(text.split()) > _FEW_WORDS
    return bool(about and built)


def _first_words(given: _Text) -> Extraction | None:
    """Return the answer that stands before its explanation: "Paris. The tower in the middle is …"."""
    text, spans = given.text, given.spans
    if len(spans) < 2 or given.reads_out or not is_bare(text[slice(*spans[0])]):
        return None
    if _EQUATION.search(text[slice(*spans[0])]):
        return None  # a formula, from which the text goes on
    if "\n|" in text or text.startswith(("|", "-")):
        return None
    first, rest = given.plain.part(*spans[0]), text[spans[0][1] :]
    repeated = content(first.text) <= content(given.question)
    heading = ANSWER_HEADING.fullmatch(first.text.strip()) or repeated
    two_short = len(rest.split()) <= 2 and len(first.text.split()) <= 2
    if len(spans) == 2 and not heading and is_bare(rest) and two_short:
        return unresolved("several_answers")
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in rest)
    if (VERB.search(rest) or _EXPLAINS.search(rest) or han >= 8) and not repeated:
        return tidied(first, "first_words") or unresolved("empty")
    return None


def _whole(plain: Plain, question: str, reads_out: bool) -> Extraction:
    answer = tidied(without_lead(plain), "full_text" if reads_out else "whole_text") or unresolved("empty")
    bare = not VERB.search(plain.text) and not SENTENCE_LIKE.search(plain.text) and len(plain.text) <= _BARE
    if reads_out or (len(sentences(plain.text)) == 1 and bare and of_the_kind(plain.text, question)):
        return answer
    return unresolved("several_sentences" if len(sentences(plain.text)) > 1 else "sentence")
