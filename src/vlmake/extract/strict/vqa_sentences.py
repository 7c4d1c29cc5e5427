"""The answer of the sentences that speak of what an open question asks."""

import re
from typing import NamedTuple

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import TRIM, Plain, emphasised, stripped
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, sentences
from vlmake.extract.strict.frames import answer_in
from vlmake.extract.strict.overlap import content, coverage, stem
from vlmake.extract.strict.vqa_across import answer_across
from vlmake.extract.strict.vqa_contrast import only_denies
from vlmake.extract.strict.vqa_doubt import answers_another
from vlmake.extract.strict.vqa_fits import fits, of_the_kind
from vlmake.extract.strict.vqa_labels import LABELLED
from vlmake.extract.strict.vqa_peel import tidied
from vlmake.extract.strict.vqa_shapes import SENTENCE_LIKE, VERB, repeats, says_chinese
from vlmake.extract.strict.withheld import is_hearsay

_FEW = 3  # sentences that must all agree
_SURE = 1.4  # weight of a conclusion, or of the last sentence that names all that is asked
_ATTRIBUTE = re.compile(r"colou?r|shap|siz|material|kind|typ|pattern")
_COUNTED_LIST = re.compile(
    r"[^:\n]{3,60}\b(?:two|three|four|five|six|seven|eight|\d+|following|these)\s+(?P<thing>[\w\s-]{3,40}):\s*(?P<list>[^.:\n]{3,100})[.]?\s*$",
    re.IGNORECASE,
)
_ASKS_COUNT = re.compile(r"\bhow\s+many\b|\bnumber\s+of\b|多少|几", re.IGNORECASE)
_CONCLUDED = 2  # weight of a conclusion that names all that is asked
_HEAD = re.compile(
    r"\W*(?:what|which)\s+(?:(?:is|are|was|were)\s+the\s+(?P<of>(?:[\w'-]+\s+){0,3}?[\w'-]+)(?=\s+(?:of|on|in|for|at|to|from|shown|written|that|by|with)\b|\s*\?|\s*$)"
    r"|(?!is\b|are\b|was\b|were\b|do\b|does\b|did\b|of\b)(?P<first>[A-Za-z]+))",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\sor\s|或者?|还是", re.IGNORECASE)
_PLAN = re.compile(
    r"\W*(?:to\s+(?:find|compute|calculate|determine|get|solve|answer|figure)|first|let(?:'s|\s+(?:me|us))"
    r"|we\s+(?:need|have)\s+to|step\s+\d)\b|\W*(?:首先|先|要求)",
    re.IGNORECASE,
)
_OR = re.compile(r"([\w'-]+)\s*,?\s+or\s+(?:the\s+|an?\s+)?([\w'-]+)\s*\?")
_NEGATION = re.compile(r"\bnot\b|n't\b|\bno\b|\bneither\b", re.IGNORECASE)


class _Said(NamedTuple):
    """What a sentence answers: how far it can be taken for the text's answer, its place, the part and its rule.

    ``covered`` is the share of the question that the sentence names, ``heads`` whether it is about the very thing
    asked for: "its capital is …" where the capital is asked for.
    """

    weight: float
    place: int
    part: Plain
    rule: str
    covered: float
    heads: bool


def restated(plain: Plain, marked: Plain, question: str) -> Extraction | None:
    """Return the answer of the concluding, the last or the first sentence that speaks of what was asked."""
    spans = sentences(plain.text)
    bold = [piece for piece in emphasised(marked) if piece.places[0] >= plain.places[0]]
    best: list[_Said] = []
    for place, (start, end) in enumerate(spans):
        sentence, last = plain.part(start, end), place == len(spans) - 1
        if _is_passed_over(sentence.text, last):
            continue
        said, rule = _answered(sentence, bold, question, len(spans) == 1)
        concludes = CONCLUDES.match(sentence.text.strip()) is not None
        if concludes and said is None and last:
            return None  # the conclusion says something else than the sentences before
        if (
            said is not None
            and said.text
            and fits(said, sentence, question)
            and not answers_another(said, sentence, question)
        ):
            covered = coverage(content(question), sentence.text)
            heads = _heads(sentence, said, question)
            weight = covered + concludes + (0.5 if last else 0.2 if not place else 0) + 0.3 * heads
            best.append(_Said(weight, place, said, rule, covered, heads))
    if any(entry.heads for entry in best):
        best = [entry for entry in best if entry.heads or entry.weight >= 1.4]
    return _settled(best, len(spans), question) if best else None


def _is_passed_over(sentence: str, last: bool) -> bool:
    """Return whether a sentence gives no answer of its own: a plan, a heading, a row of a table, a doubt."""
    return (
        HEDGE.search(sentence) is not None
        or is_hearsay(sentence, len(sentence), len(sentence))
        or only_denies(sentence.strip())
        or (_PLAN.match(sentence) is not None and not last)
        or sentence.rstrip().endswith((":", "?"))
        or sentence.lstrip().startswith("|")
    )


def _answered(sentence: Plain, bold: list[Plain], question: str, alone: bool) -> tuple[Plain | None, str]:
    """Return the part of a sentence that answers, and its rule: what repeats the question, bold print, a label."""
    asked = content(question)
    inside = [piece for piece in bold if sentence.places[0] <= piece.places[0] <= sentence.places[-1]]
    said = _listed(sentence, question) or answer_in(sentence, question, alone) or answer_across(sentence, question)
    whole = len(inside) == 1 and len(inside[0].text.strip(TRIM)) > 0.8 * len(sentence.text.strip(TRIM))
    if (
        len(inside) == 1
        and not (whole and said)
        and content(inside[0].text) - asked | ({"1"} if not content(inside[0].text) else set())
    ):
        return stripped(inside[0], TRIM), "emphasised"
    label = LABELLED.fullmatch(sentence.text.strip("- .")) if said is None else None
    if label and coverage(asked, label["label"]) > 0:
        offset = sentence.text.index(label["value"], sentence.text.index(":"))
        return sentence.part(offset, offset + len(label["value"])), "labelled"
    return said, "restated"


def _listed(sentence: Plain, question: str) -> Plain | None:
    """Return the list behind a count: "has three colours: green, white and orange", where no count is asked for."""
    match = _COUNTED_LIST.match(sentence.text)
    if not match or _ASKS_COUNT.search(question) or not content(match["thing"]) & content(question):
        return None
    return stripped(sentence.part(*match.span("list")), TRIM)


def _heads(sentence: Plain, part: Plain, question: str) -> bool:
    """Return whether a sentence names the thing asked for before its answer."""
    head = _HEAD.match(question)
    noun = stem((head["first"] or head["of"]).split()[-1]) if head else ""
    start = next((n for n, at in enumerate(sentence.places) if at == part.places[0]), 0)
    before = {stem(word) for word in re.findall(r"[A-Za-z']+", sentence.text[:start])}
    return bool(noun) and noun in before and not _ATTRIBUTE.match(noun)


def _settled(best: list[_Said], count: int, question: str) -> Extraction | None:
    """Return the answer of the sentence with the most weight, unless another one disputes it."""
    told = [entry for entry in best if entry.rule != "labelled"]
    if count <= _FEW and _contrary([entry.part.text for entry in told if entry.weight >= 0.5]):
        return unresolved("contradiction")
    chosen = max(best, key=lambda entry: entry[:2])
    if _ALTERNATIVES.search(chosen.part.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    alike = [entry.part.text for entry in told if entry.covered >= 1 and chosen.covered >= 1]
    if chosen.weight < _CONCLUDED and _contrary(alike):
        return unresolved("contradiction")
    rivals = {entry.part.text.lower() for entry in told if entry.weight >= chosen.weight - 0.35}
    if (chosen.weight < 0.5 and not chosen.heads) or (len(rivals) > 1 and count <= _FEW and chosen.weight < _SURE):
        return unresolved("several_answers")
    return tidied(chosen.part, chosen.rule)


def _contrary(answers: list[str]) -> bool:
    """Return whether answers of several sentences are not all the same one, told at more or less length."""
    texts = [text.lower() for text in answers]
    if all(text[:1].isdigit() for text in texts):
        return len({re.sub(r"(?<![^\d.])[^\d.]+$", "", text) for text in texts}) > 1
    longest = max(texts, key=len, default="")
    return any(not (content(text) & content(longest)) and text not in longest for text in texts)


def framed(plain: Plain, question: str) -> Extraction | None:
    """Return the answer of a short text that repeats its question ("Room 906", "It means exit")."""
    like = (
        SENTENCE_LIKE.search(plain.text) is not None
        or says_chinese(plain.text, question)
        or "%" in plain.text
        or repeats(plain.text, question)
        or re.search("[多几]", question)
    )
    if (across := answer_across(plain, question)) and of_the_kind(across.text, question):
        return tidied(across, "restated")
    said = (
        (answer_in(plain, question, alone=True) if like else None)
        if not (listed := _listed(plain, question))
        else listed
    )
    if (
        said is None
        and (lead := re.match(r"[A-Za-z]+\s+(?=\S*\d\S*(?:\s\S+)?\W*$)", plain.text))
        and content(lead[0]) <= content(question)
    ):
        said = plain.part(lead.end(), len(plain.text))
    if said is not None and _ALTERNATIVES.search(said.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    if said is None or not said.text:
        return None
    if fits(said, plain, question):
        if answers_another(said, plain, question):
            return unresolved("sentence")
        return tidied(said, "restated")
    return unresolved("sentence") if VERB.search(plain.text) or says_chinese(plain.text, question) else None


def either(plain: Plain, question: str) -> Extraction | None:
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
