"""The words that say yes or no, and where a text says them as its verdict, English or Chinese.

A verdict counts only where the text stands behind it: not "wrong to say yes", not "yes, if …", not what others say.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.withheld import is_conditional, is_hearsay, sentence_after, sentence_before

_YES = r"yes|yeah|yep|yup|true|correct|affirmative"
_NO = r"no|nope|nah|false|incorrect|negative|wrong"
_YES_ZH = r"是的|是|对的|对|没错|嗯|正确|有的|有|存在|可以|能|会|属于|真"
_NO_ZH = r"不是的?|不对|不正确|并没有|没有|不存在|不能|不可以|不会|不属于|否|不|错误|错|没|假"
_EITHER = rf"(?:{_YES}|{_NO})"
SIGNS = {**dict.fromkeys("✅✔✓☑√👍", "Yes"), **dict.fromkeys("❌✘✗✖×🚫👎", "No")}

# "yes or no", "yes/no", 是否, 有没有: both words named, neither said.
PAIR = re.compile(
    r"\b(?:yes\s*(?:/|\bor\b|\band\b|\bnor\b)\s*no|no\s*(?:/|\bor\b|\band\b)\s*yes)\b|是否|是不是|有没有|对不对"
    r"|能否|有无|对错|真假|是或否"
    r"|\bneither\s+yes\b[^.!?\n]*|(?<!\w)[\"'](?:yes|no)[\"']\s*(?:or|/|and)\s*[\"'](?:yes|no)[\"']",
    re.IGNORECASE,
)
# A word that is quoted is spoken of, not said: the box "No" is ticked. Behind "answer is" it is said.
QUOTED = re.compile(r"(?<!is )(?<!: )(?<!是)(?<!为)(?<!:)(?<!^)[\"'](?:yes|no)[\"']", re.IGNORECASE)
_DECLARED = re.compile(
    rf"(?:answer|conclusion|verdict|response|final)\s*+(?:to\s+(?:the|this|your)\s+question\s*+)?"
    rf"(?:is|would be|should be|must be|:|=|->)\s*+(?:thus|therefore|clearly|definitely|still|simply|hence"
    rf"|indeed|actually|most\s+likely|probably)?\s*+:?\s*+(?:a\s+(?:clear\s+|definite\s+)?)?(?P<not>not\s+|n't\s+)?[\"'(\[<]*"
    rf"(?:(?P<en>{_EITHER})(?![\w-])|(?P<zh2>{_NO_ZH}|{_YES_ZH})(?=\W|$))"
    rf"|(?:答案|回答|结论|判断)(?:应该|应当|应)?(?:是|为|:)*\s*(?P<nozh>不应?[是为]\s*)?[\"'(\[「]*"
    rf"(?:(?P<zh>{_NO_ZH}|{_YES_ZH})(?![\w])|(?P<en2>yes|no)(?![a-z-]))",
    re.IGNORECASE,
)
_ONLY_IF = re.compile(r"\b(?:if|case|would|otherwise|had)\b", re.IGNORECASE)
# A verdict stands alone: at the start of a sentence or clause and followed by punctuation or the end, or by a word
# with which a sentence goes on ("No it is not"). "No dog", "no problem" and "no doubt" are no verdicts.
_GOES_ON = r"it|its|there|theres|this|that|the|they|he|she|i|we|you|because|since|as|not|in|a|an"
_VERDICT = re.compile(
    rf"(?:(?:^\W{{0,6}}|[.!?。;,:\n\"✅❌✔✘×√'(\[]|-|–|—|(?<=[\u4e00-\u9fff])|\b(?:is|so|say|think|therefore|thus|hence|guess"
    rf"|believe|definitely|certainly|probably|likely|actually|in\s+fact|(?:say|answer|reply)\s+with"
    rf"|simply|just|clearly|absolutely|not|a|to\s+(?:answer|reply|respond))|\bbut(?=\s+(?:yes|no)\b))\s*)"
    rf"(?<![\w-])(?P<word>{_EITHER})(?=\s*(?:[.,;:!?。、\"'()\]\n]|$|—|–|-\s|[\u4e00-\u9fff])|\s+(?:{_GOES_ON})\b)(?!-\w)",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|isn't|cannot be|can't be|don't think it is)|不是?|并非)\s*(?:a|an|the)?\s*[\"'(]*$",
    re.IGNORECASE,
)
_SAYING_IS_WRONG = re.compile(
    r"(?:\b(?:wrong|incorrect|false|inaccurate|misleading|a\s+mistake|not\s+(?:right|correct|accurate))\s+to"
    r"|\b(?:would|should|could|do)(?P<not>n't|\s+not))\s+(?:say|answer|call\s+it|reply|respond|conclude|go\s+with)"
    r"(?:\s+(?:with|that))?(?:\s+an?)?\s*[\"']?$",
    re.IGNORECASE,
)
_SAYING_IS_OPEN = re.compile(
    r"(?:\b(?:can't|cannot|can\s+not|won't|unable\s+to|able\s+to|hard\s+to|difficult\s+to|whether\s+to|if)|(?:不能|不敢|难))\s*"
    r"(?:\w+ly\s+)?(?:say|answer|reply|respond|conclude|说|回答)(?:\s+(?:with|that))?(?:\s+an?)?\s*[\"']?$",
    re.IGNORECASE,
)
_VERDICT_ZH = re.compile(
    rf"(?:^|[.!?。;,:\n\"'(\[])\s*(?:(?:但|所以|因此|其实|答案|我(?:觉得|认为|想|猜)|好像|似乎|应该|看起来|大概)?是?,?\s*)?(?P<word>{_NO_ZH}|{_YES_ZH})"
    rf"(?=\s*(?:[.,;:!?\"')\]\n。、]|$)|的?(?:[,.。!]|$))"
)
_CONDITION_OPENS = re.compile(
    r"[\s,\"')]*(?:(?:but|and)\s+)?(?:\w+\s+){0,2}?(?:if|unless|provided|assuming|as\s+long\s+as|depending|only\s+when)\b"
    r"|[,\s]*(?:如果|除非|前提是|只要|取决于|要看)",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"\b(?:otherwise|if\s+not)\b,?\s+(?:(?:it|the\s+answer)(?:'s|\s+is|\s+would\s+be)\s+|it's\s+|then\s+|say\s+)?(?:an?\s+)?"
    r"[\"']?(?:yes|no|not)\b|\bdepend(?:s|ing)\s+on\b|取决于|否则|反之",
    re.IGNORECASE,
)
_JUDGES = re.compile(r"\b(?:is|are|was|were|not)\s*$", re.IGNORECASE)
_ASKS_FAULT = re.compile(
    r"\b(?:mistakes?|errors?|wrong|incorrect(?:ly)?|false|flaws?|typos?|problem|misspelled)\b|错|误", re.IGNORECASE
)
_TURNED = re.compile(
    r"[;。]|\b(?:but|however|because|since|so|therefore|thus|hence)\b|但|所以|因此|因为", re.IGNORECASE
)
_REACH = 48  # characters before a word in which its negation can stand
_OPPOSED = frozenset(("true", "correct", "affirmative"))
_SAYS_NO = re.compile(rf"{_NO}|{_NO_ZH}", re.IGNORECASE)
OTHER = {"Yes": "No", "No": "Yes"}


class Mention(NamedTuple):
    """A verdict and its place in a text."""

    answer: str
    start: int
    end: int


@lru_cache(maxsize=1024)
def only_word(text: str) -> tuple[str, str] | None:
    """Return (answer, word) when the text is one word or sign of the lexicon, said once or over and over."""
    signs = {SIGNS[letter] for letter in text if letter in SIGNS}
    word = text.strip("".join(SIGNS) + " \t\r\n.,!\"'()[]「」。~").lower()
    if not word and len(signs) == 1:
        sign = next(letter for letter in text if letter in SIGNS)
        return signs.pop(), sign
    words = set(word.replace(",", " ").split())
    word = words.pop() if len(words) == 1 and len(text) < 2000 else word
    if re.fullmatch(rf"{_YES}|{_YES_ZH}|y", word):
        return "Yes", word
    return ("No", word) if re.fullmatch(rf"{_NO}|{_NO_ZH}|无|n", word) else None


def declared(text: str, question: str | None) -> Iterator[Mention | None]:
    """Yield what the text declares as the answer, in order; None for "the answer is not yes"."""
    for match in _DECLARED.finditer(text):
        group = next(name for name in ("en", "zh", "zh2", "en2") if match[name])
        if is_hearsay(text, match.start(), match.end()) or under_condition(text, *match.span(group), question):
            continue
        if match["not"] or match["nozh"]:
            yield None
        elif "would" not in match[0].lower() or not _ONLY_IF.search(
            text, max(0, match.start() - _REACH), match.start()
        ):
            yield mention(match, group)


def verdicts(text: str, question: str | None) -> list[Mention]:
    """Return the words of verdict that a text stands behind, in order."""
    said = [
        verdict
        for match in _VERDICT.finditer(text)
        if (verdict := _said(text, match, question)) and not under_condition(text, verdict.start, verdict.end, question)
    ]
    if not text.isascii():
        said += [
            mention(match, "word")
            for match in _VERDICT_ZH.finditer(text)
            if not is_hearsay(text, *match.span("word")) and not under_condition(text, *match.span("word"), question)
        ]
    return sorted(set(said), key=lambda verdict: verdict.start)


def _said(text: str, match: re.Match[str], question: str | None) -> Mention | None:
    """Return the verdict that a word says; its contrary where saying it is called wrong; None where it is not said."""
    verdict = mention(match, "word")
    before = text[max(0, verdict.start - _REACH) : verdict.start]
    if _JUDGES.search(before) and match["word"].lower() not in ("yes", "no") and _ASKS_FAULT.search(question or ""):
        return None  # "The equation is correct" does not affirm that there is a mistake
    if wrong := _SAYING_IS_WRONG.search(before):
        unsaid = verdict.answer == "No" and wrong["not"] is not None  # "I wouldn't say no" says little
        return None if unsaid else verdict._replace(answer=OTHER[verdict.answer])
    if _SAYING_IS_OPEN.search(before) or is_hearsay(text, verdict.start, verdict.end):
        return None
    if not _NEGATED.search(before):
        return verdict
    return verdict._replace(answer="No") if match["word"].lower() in _OPPOSED else None  # "not yes" says nothing


def under_condition(text: str, start: int, end: int, question: str | None) -> bool:
    """Return whether a verdict holds under a condition only: "Yes, if …", "If so, yes; otherwise no"."""
    before, behind = sentence_before(text, start), sentence_after(text, end)
    turns = [match.end() for match in _TURNED.finditer(before)]
    lead = before[turns[-1] :] if turns else before
    if _OTHERWISE.search(lead + text[start:end] + text[end : end + 2 * _REACH]):
        return True
    if re.search(r"\bif\s+(?:not|so|yes|no)\b", lead, re.IGNORECASE):
        return True
    tail = behind if _CONDITION_OPENS.match(behind) else ""
    near = lead + text[start:end] + tail
    return is_conditional(near, len(lead), len(lead) + end - start, question)


def mention(match: re.Match[str], group: str) -> Mention:
    """Return what a group of a match says."""
    return Mention("No" if _SAYS_NO.fullmatch(match[group]) else "Yes", *match.span(group))
