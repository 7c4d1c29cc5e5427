"""The strict reading of an open answer: the text itself, without its frame."""

import re

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict import Plain, final_text, last_box, plain_text, stripped, without_boxes

_FRAME = " \t\r\n\"'“”‘’「」《》.。!！,，;；:："

# What may stand before an answer. A declaration inside a longer text counts only where a sentence or line starts.
_DECLARATION = re.compile(
    r"(?:^|(?<=[\n.!?。！？:;]))\s*(?:so|thus|therefore|hence|final answer)?[,:]?\s*"
    r"(?:the\s+)?(?:(?:final|correct|right|best|short)\s+)?answer\s*(?:to the question\s*)?(?:is|:|=)[\s:]*"
    r"|(?:^|(?<=[\n。！？,，:：]))\s*(?:所以|因此|故)?[,，]?\s*(?:最终|正确)?(?:答案|回答)(?:应该|应)?(?:是|为|:|：)[\s:：]*",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"(?i:(?:it|this|that|the\s+(?:[\w-]+\s+){0,3}?(?:text|word|words|letters?|sign|image|picture|code|caption|label)"
    r"(?:\s+(?:in|on|of)\s+(?:the|this)\s+[\w-]+)?)\s+"
    r"(?:is|are|says?|reads?|spells?|shows?)\s*(?:written\s+as\s*)?)(?::\s*|(?=[\"'“]|[A-Z0-9]))"
    r"|(?:图中|图片中|图像中|图里)(?:的)?(?:文字|字母|内容|单词)?(?:写着|写的是|显示|显示的是|是|为)[:：]?\s*",
)


def read_text(prediction: str | None) -> Extraction:
    """Return the answer in a prediction: in a box, after the last "the answer is", or the whole text.

    Markdown, quotes, a lead such as "The word is" and the final punctuation are dropped. Several paragraphs without a
    declaration are returned as they are: which part of them is the answer would be a guess.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    box = last_box(final.plain)
    if box is not None and (answer := _answer(box, "boxed")):
        return answer
    plain = without_boxes(final.plain)
    for declared in reversed(list(_DECLARATION.finditer(plain.text))):
        end = plain.text.find("\n", declared.end())
        clause = plain.part(declared.end(), end if end >= 0 else len(plain.text))
        if answer := _answer(_without_lead(clause), "declared"):
            return answer
    return _answer(_without_lead(stripped(plain)), "whole_text") or unresolved("empty")


def tidy(text: str) -> str:
    """Return a gold text cleaned as answers are, so that both are compared in one form."""
    cleaned = plain_text(text)
    return cleaned.strip(_FRAME) or cleaned


def _without_lead(plain: Plain) -> Plain:
    lead = _LEAD.match(plain.text)
    return plain.part(lead.end(), len(plain.text)) if lead else plain


def _answer(plain: Plain, rule: str) -> Extraction | None:
    """Return the tidied text as the answer; None when nothing is left."""
    kept = stripped(plain, _FRAME)
    if not kept.text:  # an answer that is punctuation alone, such as "?"
        kept = stripped(plain)
    if not kept.text:
        return None
    return Extraction(" ".join(kept.text.split()), rule, *kept.span(0, len(kept.text)))
