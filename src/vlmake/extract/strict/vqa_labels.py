"""The open answer behind its label: "Total: $45", a short last line under a heading, one of several fields."""

import re

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import TRIM, Plain
from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.vqa_peel import tidied
from vlmake.extract.strict.vqa_shapes import is_bare

LABELLED = re.compile(r"[ \t]*(?P<label>[^:\n\d\"]{1,40}):[ \t]*(?P<value>[^:\n|][^\n|]{0,200})")
ANSWER_HEADING = re.compile(
    r"\W*(?:(?:final|short|my)\s+)?(?:answer|result|conclusion|答案|结论|回答)\W*", re.IGNORECASE
)
_PAIR = re.compile(r"(?:^|[,;])\s*(?P<label>[^:,;]{1,40}):\s*(?P<value>[^:;]{1,80}?)(?=[,;]\s[^:,;]+:|\s*$)")
_UNKNOWN = re.compile(r"\b(?:solve\s+for|value\s+of|find)\s+([a-z])\b|([a-z])\s*的值")


def of_several(plain: Plain, question: str) -> Extraction | None:
    """Return the value of the one label that the question names: "tax: $3, total: $45"."""
    named = [
        pair
        for pair in _PAIR.finditer(plain.text)
        if content(pair["label"]) and content(pair["label"]) <= content(question)
    ]
    return tidied(plain.part(*named[0].span("value")), "labelled") if len(named) == 1 else None


def labelled(plain: Plain, question: str) -> Extraction | None:
    """Return the value in "Key: value" where the question names the key, or its initials."""
    match = LABELLED.fullmatch(plain.text)
    if not match:
        return None
    label = match["label"].strip()
    initials = "".join(word[0] for word in re.findall(r"[A-Za-z]+", question)).lower()
    asked = set(re.findall(r"\w+", question.lower()))
    named = (content(label) and content(label) <= content(question)) or set(re.findall(r"\w+", label.lower())) <= asked
    if not named and not (label.isupper() and len(label) in (2, 3) and label.lower() in initials):
        return None
    return tidied(plain.part(*match.span("value")), "labelled")


def closing(plain: Plain, question: str) -> Extraction | None:
    """Return a short last line: one that solves for x, repeats the last sentence's figure, or has a heading."""
    lines = [match.span() for match in re.finditer(r"[^\n]*\S[^\n]*", plain.text)]
    if (unknown := _UNKNOWN.search(question)) and (
        solved := re.fullmatch(
            rf"\W*{unknown[1] or unknown[2]}\s*=\s*([^=]{{1,40}})", plain.text[slice(*lines[-1])], re.IGNORECASE
        )
    ):
        return tidied(plain.part(lines[-1][0] + solved.start(1), lines[-1][0] + solved.end(1)), "labelled")
    last, above = plain.text[slice(*lines[-1])].strip(TRIM), plain.text[: lines[-1][0]]
    if len(lines) > 1 and re.fullmatch(r"\S*\d\S*", last) and re.search(rf"(?<![\w.]){re.escape(last)}\W*$", above):
        return tidied(plain.part(*lines[-1]), "labelled")
    if len(lines) < 2 or not is_bare(plain.text[slice(*lines[-1])]) or plain.text[lines[-1][0]] in "|-":
        return None
    before = plain.text[slice(*lines[-2])].strip()
    heading = (content(before) and content(before) <= content(question)) or ANSWER_HEADING.fullmatch(before)
    return tidied(plain.part(*lines[-1]), "labelled") if before.endswith(":") or heading else None
