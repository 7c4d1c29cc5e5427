"""The strict reading of an answer to a yes-or-no question, English or Chinese."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict import Plain, final_text, last_box, without_boxes

_YES = r"yes|yeah|yep|true|correct|affirmative"
_NO = r"no|nope|false|incorrect|negative|wrong"
_YES_ZH = r"是的|是|对的|对|正确|有的|有|存在|可以|能"
_NO_ZH = r"不是|不对|不正确|没有|不存在|不能|不可以|否|不|错误|错|没"
_EITHER = rf"(?:{_YES}|{_NO})"

# "yes or no", "yes/no", 是否, 有没有: both words named, neither said.
_PAIR = re.compile(
    r"\b(?:yes\s*(?:/|\bor\b|\band\b|\bnor\b)\s*no|no\s*(?:/|\bor\b|\band\b)\s*yes)\b|是否|是不是|有没有|对不对|能否|有无|对错|真假"
    r"|\bneither\s+yes\b[^.!?\n]*|(?<!\w)[\"'](?:yes|no)[\"']\s*(?:or|/|and)\s*[\"'](?:yes|no)[\"']",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    rf"(?:answer|conclusion|verdict|response)\s*(?:to\s+(?:the|this|your)\s+question\s*)?"
    rf"(?:is|would be|should be|must be|:|=|->)\s*:?\s*(?P<not>not\s+|n't\s+)?[\"'(\[<]*(?P<en>{_EITHER})(?![\w-])"
    rf"|(?:答案|回答|结论|判断)(?:应该|应当|应)?(?:是|为|:)*\s*(?P<nozh>不应?[是为]\s*)?[\"'(\[「]*"
    rf"(?:(?P<zh>{_NO_ZH}|{_YES_ZH})(?![\w])|(?P<en2>yes|no)(?![a-z-]))",
    re.IGNORECASE,
)
# A verdict stands alone: at the start of a sentence or clause and followed by punctuation or the end, or by a word
# with which a sentence goes on ("No it is not"). "No dog", "no problem" and "no doubt" are no verdicts.
_GOES_ON = r"it|there|this|that|the|they|he|she|i|we|you|because|since|as|not|in|a|an"
_VERDICT = re.compile(
    rf"(?:(?:^|[.!?。;,:\n\"'(\[]|-|\b(?:is|so|say|think|therefore|thus|hence|guess|believe|definitely|certainly|probably"
    rf"|simply|just|clearly|absolutely|not|a))\s*)"
    rf"(?<![\w-])(?P<word>{_EITHER})(?=\s*(?:[.,;:!?\"')\]\n]|$|—|–|-\s|[\u4e00-\u9fff]|\s+(?:{_GOES_ON})\b))(?!-\w)",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|isn't|cannot be|can't be|don't think it is)|不是?|并非)\s*(?:a|an|the)?\s*[\"'(]*$",
    re.IGNORECASE,
)
_VERDICT_ZH = re.compile(
    rf"(?:^|[.!?。;,:\n\"'(\[])\s*(?P<word>{_NO_ZH}|{_YES_ZH})(?=\s*(?:[.,;:!?\"')\]\n。、]|$)|的?(?:[,.。!]|$))"
)
_LEADING_ZH = re.compile(r"^[\s\"'(\[]*(?P<word>不是|没有|不对|不存在|是的|对的|有的)(?!可能|错)")
_THERE_IS = re.compile(
    r"^\W*(?:there\s+(?P<no>is\s+no|are\s+no|isn't|aren't|is\s+not|are\s+not)|there\s+(?:is|are))\s+"
    r"(?:an?\s+|any\s+|the\s+|some\s+)?(?P<thing>[\w-]+)",
    re.IGNORECASE,
)
_ASKED = re.compile(r"^\W*(?:is|are)\s+there\s+(?:an?\s+|any\s+|the\s+|some\s+)?(?P<thing>[\w-]+)", re.IGNORECASE)
_REACH = 48  # characters before a word in which its negation can stand
_OPPOSED = frozenset(("true", "correct", "affirmative"))
_NO_WORDS = frozenset([*_NO.split("|"), *_NO_ZH.split("|")])


class _Mention(NamedTuple):
    answer: str
    start: int
    end: int


def read_yes_no(prediction: str | None, question: str | None = None) -> Extraction:
    """Return Yes or No as a careful reader takes the prediction, else unresolved.

    Layers: a box; the last "the answer is …" (答案是…); words that stand alone as a verdict, all of which must agree;
    a Chinese sentence that begins with its verdict; "There is (no) dog" as the answer to "Is there a dog?".

    Args:
        prediction: The model's text; None where it gave none.
        question: What was asked, for the last layer.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    return _read(final.plain, question)


def _read(plain: Plain, question: str | None) -> Extraction:
    box = last_box(plain)
    if box is not None and (only := _only_word(box.text)):
        start = box.text.lower().index(only[1])
        return Extraction(only[0], "boxed", *box.span(start, start + len(only[1])))
    plain = without_boxes(plain)
    text = _PAIR.sub(lambda match: " " * len(match[0]), plain.text)
    for mention in reversed(list(_declared(text))):
        if mention is None:
            return unresolved("negated")
        return _found(plain, mention, "declared")
    verdicts = list(_verdicts(text))
    answers = {verdict.answer for verdict in verdicts}
    if len(answers) > 1:
        return unresolved("contradiction")
    if verdicts:
        return _found(plain, verdicts[0], "verdict")
    if leading := _LEADING_ZH.match(text):
        return _found(plain, _mention(leading, "word"), "leading_word")
    return _there_is(plain, question) or unresolved("both_words" if text != plain.text else "none")


@lru_cache(maxsize=1024)
def _only_word(text: str) -> tuple[str, str] | None:
    """Return (answer, word) when the text is one word of the lexicon and punctuation."""
    word = text.strip(" \t\n.,!\"'()[]").lower()
    if re.fullmatch(rf"{_YES}|{_YES_ZH}", word):
        return "Yes", word
    return ("No", word) if re.fullmatch(rf"{_NO}|{_NO_ZH}", word) else None


def _declared(text: str) -> Iterator[_Mention | None]:
    """Yield what the text declares as the answer, in order; None for "the answer is not yes"."""
    for match in _DECLARED.finditer(text):
        if match["not"] or match["nozh"]:
            yield None
            continue
        yield _mention(match, next(name for name in ("en", "zh", "en2") if match[name]))


def _verdicts(text: str) -> Iterator[_Mention]:
    for match in _VERDICT.finditer(text):
        mention = _mention(match, "word")
        if not _NEGATED.search(text, max(0, match.start("word") - _REACH), match.start("word")):
            yield mention
        elif match["word"].lower() in _OPPOSED:  # "not correct" is No; "not yes" says nothing
            yield mention._replace(answer="No")
    if not text.isascii():
        for match in _VERDICT_ZH.finditer(text):
            yield _mention(match, "word")


def _there_is(plain: Plain, question: str | None) -> Extraction | None:
    """Return the answer to "Is there a dog?" that a statement about the same thing gives."""
    said = _THERE_IS.match(plain.text)
    asked = _ASKED.match(question or "")
    if not said or not asked or said["thing"].lower() != asked["thing"].lower():
        return None
    return Extraction("No" if said["no"] else "Yes", "statement", *plain.span(*_trim(plain.text, *said.span())))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    return end - len(text[start:end].lstrip()), end


def _mention(match: re.Match[str], group: str) -> _Mention:
    return _Mention("No" if match[group].lower() in _NO_WORDS else "Yes", *match.span(group))


def _found(plain: Plain, mention: _Mention, rule: str) -> Extraction:
    return Extraction(mention.answer, rule, *plain.span(mention.start, mention.end))
