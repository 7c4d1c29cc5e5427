"""The strict reading of an open answer: the text itself, without its frame."""

import re

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, last_box
from vlmake.extract.strict.discourse import REFUSAL, after_retraction, sentences
from vlmake.extract.strict.frames import answer_in
from vlmake.extract.strict.overlap import content, coverage
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.vqa_contrast import meant
from vlmake.extract.strict.vqa_peel import (
    announced,
    named_field,
    tidied,
    without_courtesy,
    without_lead,
    without_question,
)
from vlmake.extract.strict.vqa_sentences import framed
from vlmake.extract.strict.vqa_undeclared import undeclared

_TRIES = 12  # declarations that are looked at, from the last on
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
_REASON = re.compile(
    r"(?:,\s*|\s+)(?:because|since|as\s+(?:the|it|there|shown|indicated|seen)|which|given\s+that|based\s+on"
    r"|according\s+to)\s.*$|,因为.*$|(?<![\d)\s])\s+[-–—]\s+(?!\d).*$",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(r"\W*(?:not|n't)\s+(?!only\b)|不是", re.IGNORECASE)
_NO_DECLARATION = re.compile(r"\W*(?:unclear|not\s+(?:clear|visible|provided)|unknown\b)|\W*$", re.IGNORECASE)
_IS_THE_ANSWER = re.compile(
    r"\W*([^.!?\n]{1,60}?)\s+is\s+the\s+(?:correct\s+|right\s+|final\s+)?answer\b", re.IGNORECASE
)


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
    taken_back = after_retraction(plain.text)
    for declared in list(_DECLARATION.finditer(plain.text))[: -_TRIES - 1 : -1]:
        clause = _clause(plain, declared.end())
        if taken_back is not None and taken_back > declared.end():
            break
        if announced(plain.text, declared) or REFUSAL.match(clause.text) or _NO_DECLARATION.match(clause.text):
            continue
        if answer := _declared(clause, question):
            if not answer.found:
                return answer
            if _disputed_before(answer, plain, declared.start(), question):
                return unresolved("contradiction")
            return _undisputed(answer, plain, declared.end() + len(clause.text), question)
    if backward := _IS_THE_ANSWER.match(plain.text):
        return tidied(plain.part(*backward.span(1)), "declared") or unresolved("empty")
    return undeclared(plain, final.plain, question)


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
    if _DENIED.match(clause.text):
        instead = meant(clause)
        return tidied(instead, "declared") if instead is not None else unresolved("negated")
    if reason := _REASON.search(clause.text):
        clause = clause.part(0, reason.start())
    if question and (said := framed(clause, question)):
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
