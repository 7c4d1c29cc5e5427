"""Taking off what stands around an open answer: greetings, the question, markup, a gloss in brackets."""

import re

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import TRIM, Plain, plain_text, stripped
from vlmake.extract.strict.confidence import found

_OUTER = " \t\r\n.。,，;；:："
_LEAD = re.compile(
    r"(?i:(?:it|this|that|the\s+(?:[\w-]+\s+){0,3}?(?:text|word|words|letters?|sign|image|picture|code|caption|label)"
    r"(?:\s+(?:in|on|of)\s+(?:the|this)\s+[\w-]+)?)\s+"
    r"(?:is|are|says?|reads?|spells?|shows?)\s*(?:written\s+as\s*)?)(?::\s*|(?=[\"'“]|[A-Z0-9]))"
    r"|(?:图中|图片中|图像中|图里)(?:的)?(?:文字|字母|内容|单词)?(?:写着|写的是|显示|显示的是|是|为)[:：]?\s*",
)
_PICTURE = re.compile(
    r"^[\U0001f000-\U0001faff\u2600-\u27bf\u2190-\u21ff\s]+"
    r"|(?<![\U0001f000-\U0001faff\u2600-\u27bf\s])[\U0001f000-\U0001faff\u2600-\u27bf\s]+$"
)
_GLOSS = re.compile(
    r"(?P<kept>[^()\u4e00-\u9fff]+?)\s*\((?=[^()\u4e00-\u9fff]*[\u4e00-\u9fff])[^()]*\)"
    r"|(?P<kept_zh>[^()A-Za-z]+?)\s*\([A-Za-z][^()\u4e00-\u9fff]*\)"
)
_ECHO = 24  # characters that a text shares with its question by no chance
_HEADING = re.compile(
    r"\W*(?:(?:final|short|my|the)\s+)?(?:answer|result|response|答案|回答|结论)\W*\n\s*(?=\S)", re.IGNORECASE
)
_NOT_CERTAIN = re.compile(
    r"\W*(?:(?:I'm|I\s+am|I\s+can't\s+be|I\s+cannot\s+be|it's|it\s+is)\s+(?:not\s+)?(?:(?:completely|entirely|fully|quite"
    r"|totally|absolutely|a\s+hundred\s+percent|100\s?%|very|too)\s+)?(?:sure|certain|hard\s+to\s+(?:tell|say)|difficult"
    r"\s+to\s+(?:tell|say))[^,.;\n]{0,50}|(?:虽然|尽管)?(?:我)?(?:不(?:太|是很|能完全|能百分之百)?确定|看不太清)[^,。;\n]{0,12})"
    r"[,;]\s*(?:but|though|但是?|不过)[\s,]*(?=\S)",
    re.IGNORECASE,
)
_LONGEST_PERIOD = 6  # words that a text says over and over
_INSTRUCTION = re.compile(
    r"\s*(?:please\s+)?(?:answer|respond|reply)\s+(?:the\s+question\s+)?(?:using|with|in)\s+(?:only\s+)?(?:a\s+"
    r"|one\s+)?(?:single\s+)?(?:word|short|number)[^.\n]{0,40}(?:\.|\n|$)\s*",
    re.IGNORECASE,
)
_LIST_OF_ONE = re.compile(r"[\[(]\s*[\"']([^\"'\n]{1,200})[\"']\s*,?\s*[\])]")
_COURTESY = re.compile(
    r"\W*(?:(?:hi|hello|hey|sure(?:\s+thing)?|certainly|of\s+course|absolutely|great(?:\s+question)?"
    r"|good\s+question|okay|ok|no\s+problem|thanks?[^.!\n]{0,40}|当然|好的|你好|没问题)"
    r"(?:\s+there)?[!.,。]+\s*)+|-\s+(?![^\n]*\n)|a:\s+",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r",\s*(?:I\s+(?:think|believe|guess|suppose)|probably|most\s+likely|it\s+seems)[.!]?$", re.IGNORECASE
)
_OFFER = re.compile(
    r"(?<=[.!?。\n])\s*(?:let\s+me\s+know|i\s+hope|hope\s+this|feel\s+free|if\s+you\s+(?:have|need)"
    r"|is\s+there\s+anything|would\s+you\s+like|希望|如果您?还?有)[^\n]{0,160}\s*$",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[\[(]\s*([^\[\](),;]{1,60}?)\s*[\])]")
_PAIR = re.compile(r"[\"'](?P<key>[^\"'\n]{1,40})[\"']\s*:\s*[\"']?(?P<value>[^\"'\n,{}\[\]]{1,200})")
_ASIDE = re.compile(
    r"(?:written\s+by\s+|by\s+(?=[A-Z]))?(?P<kept>(?:[^(),\n]|,(?=\d)){1,60}?)(?:\s*\((?=[a-z])(?!in\s|per\s)[^()\s]+\s[^()]+\)"
    r"|\s+\([\d.,]+\s?%\)|,\s+(?:as|which|located|shown|written|printed|painted)\s[^\n]+)[.\s]*"
)
_GUESS = re.compile(
    r"\W*(?:(?:written|painted|created|directed|published)\s+by|by(?=\s+[A-Z])|probably|likely|most\s+likely|maybe"
    r"|perhaps|possibly|looks\s+like|可能是|大概是)\s*(?=\w)",
    re.IGNORECASE,
)


def announced(text: str, declared: re.Match[str]) -> bool:
    """Return whether "Here is the answer:" ends the text."""
    return not text[declared.end() :].strip(" \t\r\n.:*")


def tidy(text: str) -> str:
    """Return a gold text cleaned as answers are, so that both are compared in one form."""
    cleaned = plain_text(text)
    return _bare(Plain(cleaned, range(len(cleaned)))).text or cleaned


def without_question(plain: Plain, question: str | None) -> Plain:
    """Return the text without the question that it repeats at its start, and a label before the answer."""
    asked = plain_text(question or "")
    while asked and plain.text.lower().startswith(asked.lower()):
        plain = stripped(plain.part(len(asked), len(plain.text)), " \t\r\n")
    if len(plain.text) > _ECHO and plain.text.strip(TRIM).lower() in asked.lower():
        return plain.part(0, 0)
    label = re.match(r"\s*(?:question|q|问题|问)\s*:\s*", plain.text, re.IGNORECASE)
    start = label.end() if label else 0
    if asked and plain.text[start : start + len(asked)].lower() == asked.lower():
        plain = stripped(plain.part(start + len(asked), len(plain.text)), " \t\r\n")
    return plain


def without_courtesy(plain: Plain) -> Plain:
    """Return the text without "Sure!" before it, "Let me know if …" behind it, a bullet, and the A of "A: …"."""
    if (instruction := _INSTRUCTION.match(plain.text)) and plain.text[instruction.end() :].strip():
        plain = plain.part(instruction.end(), len(plain.text))
    if only := _LIST_OF_ONE.fullmatch(plain.text):
        plain = plain.part(*only.span(1))
    for pattern in (_HEADING, _NOT_CERTAIN):
        if lead := pattern.match(plain.text):
            plain = plain.part(lead.end(), len(plain.text))
    lead = _COURTESY.match(plain.text)
    if lead and plain.text[lead.end() :].strip():
        plain = stripped(plain.part(lead.end(), len(plain.text)))
    offer = _OFFER.search(plain.text)
    return stripped(plain.part(0, offer.start())) if offer and plain.text[: offer.start()].strip() else plain


def named_field(plain: Plain, question: str | None) -> Plain | None:
    """Return the one value of JSON whose key the question names."""
    if not plain.text.startswith("{") or not question:
        return None
    words = question.lower()
    pairs = [
        match
        for match in _PAIR.finditer(plain.text)
        if any(part in words for part in re.split(r"[\s_-]", match["key"].lower()) if len(part) > 1)
    ]
    return plain.part(*pairs[0].span("value")) if len(pairs) == 1 else None


def said_over(plain: Plain) -> Extraction | None:
    """Return the word that a text says over and over."""
    words = [word.lower().strip(TRIM) for word in plain.text.split()]
    for period in range(1, min(_LONGEST_PERIOD, len(words) // 3) + 1):
        if all(word == words[place % period] for place, word in enumerate(words)) and len(words) >= 4:
            end = re.match(rf"(?:\S+\s+){{{period - 1}}}\S+", plain.text)
            return tidied(plain.part(0, end.end()), "short_text") if end else None
    return None


def without_lead(plain: Plain) -> Plain:
    """Return the text without "It says", "Probably" or "by" before what it says."""
    if (guess := _GUESS.match(plain.text)) and guess.end() < len(plain.text):
        plain = plain.part(guess.end(), len(plain.text))
    lead = _LEAD.match(plain.text)
    return plain.part(lead.end(), len(plain.text)) if lead else plain


def _bare(plain: Plain) -> Plain:
    """Return a text without outer quotes and final punctuation; a quoted text keeps its own."""
    kept = stripped(plain, _OUTER)
    text = kept.text
    if len(text) > 2 and text[0] in "\"'「《“‘" and text[-1] in "\"'」》”’":
        inner = text[1:-1]
        if not any(mark in inner for mark in '"「《“'):
            return stripped(kept.part(1, len(text) - 1))
    return stripped(plain, TRIM)


def _without_gloss(plain: Plain) -> Plain:
    """Return a text without pictograms around it and without its translation in brackets."""
    plain = stripped(plain)
    if not plain.text.isascii():
        for match in list(_PICTURE.finditer(plain.text))[::-1]:
            if len(match[0]) < len(plain.text):
                plain = plain.part(match.end(), len(plain.text)) if match.start() == 0 else plain.part(0, match.start())
        if gloss := _GLOSS.fullmatch(plain.text):
            plain = plain.part(*gloss.span("kept" if gloss["kept"] else "kept_zh"))
    elif aside := _ASIDE.fullmatch(plain.text):
        plain = plain.part(*aside.span("kept"))
    return plain


def tidied(plain: Plain, rule: str) -> Extraction | None:
    """Return the tidied text as the answer; None when nothing is left."""
    if (opinion := _OPINION.search(plain.text.rstrip())) and opinion.start():
        plain = plain.part(0, opinion.start())
    kept = _bare(_without_gloss(plain))
    if not kept.text:  # an answer that is punctuation alone, such as "?"
        kept = stripped(plain)
    if not kept.text:
        return None
    if bracketed := _BRACKETED.fullmatch(kept.text):
        kept = kept.part(*bracketed.span(1))
    return found(" ".join(kept.text.split()), rule, kept, 0, len(kept.text))
