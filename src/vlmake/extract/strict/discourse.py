"""How a text argues, in English or Chinese: its sentences, where it concludes, takes back, hedges and breaks off."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from vlmake.extract.strict.overlap import word_set, words_in

_END = re.compile(
    r"(?<![.!?])[.!?]++[\"')\]]*+(?=\s|$)|[。！？]+[\"'」』)]*|(?<!…)…++(?=\s|$)|(?<=[\u3000-\u9fff])[!?]+|\n+"
)
_INITIAL = re.compile(
    r"(?:^|[\s.(\"'])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sgt|Lt|Col|Gen|Jr|Sr|No|vs|etc|approx|incl|excl|Est|Fig|fig|e\.g"
    r"|i\.e|Inc|Ltd"
    r"|Co)$"
)
_NAME_BEFORE = re.compile(r"(?:^|\s)(?!Option\b|Choice\b|Answer\b)[A-Z][a-z]+\s$")
_NEXT_INITIAL = re.compile(r"\. [A-Z]\.")
_TWO_INITIALS = re.compile(r"\b[A-Z]\. ?[A-Z]$")
_ENUMERATION = re.compile(r"(?:^|\n)\s*\(?(?:\d{1,2}|[A-Za-z])$")

CONCLUDES = re.compile(
    r"(?:(?<![\w'-])(?:so(?!\s+(?:that|far|much|many|on|as|well|called)\b)|thus|therefore|hence|consequently"
    r"|accordingly"
    r"|ultimately|overall|in\s+(?:conclusion|summary|short|other\s+words)|in\s+total(?=,)|to\s+(?:sum\s+up"
    r"|conclude)|all\s+in\s+all"
    r"|as\s+a\s+result|conclusion|verdict|result|summary)(?![\w'-])|→|⇒|=>|->|∴"
    r"|所以|因此|因而|综上(?:所述)?|(?<![事缘无])故(?![事意乡宫障])|可见|由此(?:可[见知])?|总之|总结|结论"
    r"|判断[:：]|答[:：])"
    r"[ \t]*[,:：，]?[ \t]*",
    re.IGNORECASE,
)
_RETRACTS = re.compile(
    r"(?<!\w)(?:wait(?=\s*[,.…!—–-]|\s+no\b)|hold\s+on|hang\s+on|correction|on\s+second\s+thoughts?"
    r"|scratch\s+(?:that|the)"
    r"|let\s+me\s+(?:re-?check|correct|re-?consider|re-?count|take\s+another\s+look|count\s+(?:again|them\s+again"
    r"|that\s+again)|check\s+again|read\s+(?:it\s+)?again|look\s+(?:again|at\s+(?:that"
    r"|it|this)))"
    r"|looking\s+(?:again|more\s+closely|closer)|reading\s+it\s+more\s+carefully|no,\s+wait|on\s+closer\s+(?:look"
    r"|inspection|examination)|I\s+meant?|oops|my\s+mistake|I\s+stand\s+corrected"
    r"|I\s+(?:retract|misread|misspoke|miscounted|was\s+wrong|made\s+a\s+mistake|(?:have|need)\s+to\s+(?:revise"
    r"|correct)"
    r"|take\s+(?:it|that)\s+back))(?!\w)"
    r"|(?<=[.!?…]\s)actually,|更准确地说|哦不|仔细(?:看|一看)(?:的话)?|重新数一?[遍下]?|再数一?[遍下]|再看一?[眼下]"
    r"|(?:(?<=[,，。.…\s!?])|^)不对(?=[,，。.…\s])|(?:(?<=[,，。.…?])|^)不(?=[,，])|等等(?=[,，。.…])|等一下|更正"
    r"|纠正一下|[看说算]错(?!误)了?|(?<!参)数错(?!误)了?",
    re.IGNORECASE,
)
_RETRACTING = word_set(  # words without which an English text takes nothing back
    "wait hold hang correction second scratch let looking reading no closer i oops mistake stand actually"
)
_CORRECTS = re.compile(
    r"(?<=[\w\"')\].!?…,;])\s*(?:[-–—]+\s*)?(?<![A-Za-z])(?:(?:oh|ah|hmm|well|sorry|wait)[,.]?\s+)?(?:no"
    r"|nope)(?:\s*[,.:!…–—-]+\s*|\s+(?=it's\b|it\s+is\b|that's\b|sorry\b))"
    r"(?:sorry|wait|pardon)?[,.:!]?\s*"
    r"|\bor\s+rather,?\s+|\bmake\s+that\s+|\bI\s+mean,?\s+|[,–—-]\s*(?:well,?\s+)?actually,?\s+(?=it's\b"
    r"|it\s+is\b|that's\b|[A-Z]\b)"
    r"|[,;.…–—-]\s*sorry,?\s+(?:I\s+meant?\s+)?(?=[A-Z]\b|it's\b|it\s+is\b)"
    r"|(?<=[,;.。?!…—-])\s*(?:哦|啊)?不[,。]\s*(?:应该?)?",
    re.IGNORECASE,
)
_CORRECTION_WORDS = ("no", "rather", "mean", "make that", "actually", "sorry", "不")
REFUSAL = re.compile(
    r"\bsorry\b(?!\s+(?:for|about)\s+(?:the|my|any|that)\b)|\bI(?:\s+|')(?:can\s*not|can't|am\s+unable|m\s+unable"
    r"|am\s+not\s+able|m\s+not\s+(?:able|sure)"
    r"|don't\s+know|do\s+not\s+know"
    r"|don't\s+(?:see|have)\s+(?:an|any|the)\s+image|can\s+not)|\bunable\s+to\b"
    r"|\bcannot\s+(?:be\s+)?(?:determined?|tell|answer|see|identify|read|made\s+out|seen)"
    r"|\bnot\s+sure\b|\b(?:too\s+(?:blurry|small|dark)\s+(?:to|for)|illegible|unreadable)\b"
    r"|Failed\s+to\s+obtain\s+answer"
    r"|\bno\s+comment\b|\bas\s+an\s+AI\b"
    r"|无法|抱歉|对不起|不知道|不确定|不能(?:确定|识别|判断|根据|提供|仅凭)|看不清|数不清|没有看到(?:任何)?图"
    r"|难以(?:判断|确定)",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:could|may|might)\s+(?:well\s+|also\s+|just\s+as\s+well\s+|possibly\s+)?be\b"
    r"|\beither\b[^.\n]{1,80}?\bor\b|\bimpossible\s+to\s+(?:tell|say|determine|know)"
    r"|\b(?:hard|difficult)\s+to\s+(?:tell|say|determine)|\b(?:can't|cannot)\s+(?:tell|say|decide|determine"
    r"|be\s+sure)|\bdepends?\s+on\b"
    r"|\btoss-up\b|\bunclear\b|\bunsure\b|\bnot\s+(?:sure|certain)\b|\byes\s+and\s+no\b|\bthen\s+again\b"
    r"|\bafter\s+all\b"
    r"|可能[^。\n]{0,30}也?可能|也许|或者|既不能|(?:很|难以|不好)难?(?:判断|确定|说)|不[好能]说|不确定"
    r"|两者都有可能|都有可能",
    re.IGNORECASE,
)
_OPEN_WORD = re.compile(
    r"(?<![\w'])(?:is|are|was|were|the|an|(?:or|and|with|of|in|on|by)\s+a|of|and|or|to|with|in|on|at|by|which"
    r"|that|than|because|crosses|has)\s*$"
    r"|(?<=[\u4e00-\u9fff])[是为在的和与]\s*$"
)
_OPEN_PAIR = re.compile(r"\w\s+(?:or|and)(?:\s+an?)?\s*$|[或和]\s*$")
_SHORT = 24  # characters that a text has at least to be called broken off by its last word
_OPEN_SIGN = re.compile(r"[,、，(=;；]$|(?<=[\s\d])[-+×*/]$")
_DANGLES = re.compile(  # "Then, adding the series": how a sentence begins, and no verb
    r"\W*(?:then|next|now|finally|first|second|since|because|although|adding|using|substituting)\b(?![^=]*(?:\b(?:is|are|was|were"
    r"|has|have|can|will|gives?|get|see|shows?)\b|=))",
    re.IGNORECASE,
)
_OPEN_END = re.compile(r"[\w,、，;；(\-–+=×*/]\s*$")


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text stand, blanks and empty ones left out; a line's end is one's end."""
    return list(_sentences(text))


@lru_cache(maxsize=256)  # every layer asks for them again
def _sentences(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in _cut(text) if text[start:end].strip())


def _cut(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end in _END.finditer(text):
        if end[0].startswith(".") and _is_abbreviation(text, start, end.start()):
            continue
        yield start, end.end()
        start = end.end()
    yield start, len(text)


def _is_abbreviation(text: str, start: int, dot: int) -> bool:
    before = text[max(start, dot - 40) : dot]
    if _ENUMERATION.search(before):
        return True
    short = _INITIAL.search(before)
    if not short:
        return False
    if _NEXT_INITIAL.match(text, dot) or _TWO_INITIALS.search(before):
        return True
    return len(short[0].strip(' .("\n')) > 1 or _NAME_BEFORE.search(before[: short.end() - 1]) is not None


def after_retraction(text: str) -> int | None:
    """Return where the text goes on after it last took something back ("Wait, no"), or None."""
    if text.isascii() and _RETRACTING.isdisjoint(words_in(text)):
        return None
    place = None
    for match in _RETRACTS.finditer(text):
        if match.start() > 0 and any(map(str.isalnum, text[: match.start()])):
            place = match.end()
    return place


def after_correction(text: str, options: Mapping[str, str]) -> int | None:
    """Return where a text goes on behind the last "…, no, …" or "or rather", where "no" is no option, or None."""
    lower = text.lower()
    if not any(word in lower for word in _CORRECTION_WORDS):
        return None
    if any(option.strip(" .").lower() in ("no", "不") for option in options.values()):
        return None
    place = None
    for match in _CORRECTS.finditer(text):
        if any(map(str.isalnum, text[: match.start()])):
            place = match.end()
    return place


def breaks_off(text: str) -> bool:
    """Return whether a text of sentences ends in the middle of one."""
    line = text.rstrip().rpartition("\n")[2]
    if not _OPEN_END.search(line):
        return False
    last = line[sentences(line)[-1][0] :] if line.strip() else ""
    has_more = len(sentences(text)) > 1 or (last.count(",") > 1 and not last.isascii() and len(last) > 20)
    if _OPEN_SIGN.search(line.rstrip()) or _OPEN_PAIR.search(line) or (_OPEN_WORD.search(line) and len(text) > _SHORT):
        return True
    if has_more and len(last.split()) > 2 and _DANGLES.match(last):
        return True
    lines = [line for line in text.rstrip().split("\n") if line.strip()]
    if len(lines) > 1 and len(sentences(line)) == 1 and not re.search(r"[.。!?:;][\"')]*\s*$", lines[-2]):
        return False  # lines end here without a full stop
    return has_more and (len(last.split()) >= 6 or sum("\u4e00" <= letter <= "\u9fff" for letter in last) >= 8)
