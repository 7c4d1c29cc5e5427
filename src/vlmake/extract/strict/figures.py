"""The one figure of a sentence that answers a question for one: a number, a share, a price, a year, a time."""

import re

from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.overlap import content, stem

_WORD = re.compile(r"[^\s]+")
ASKS_NUMBER = re.compile(r"\bhow\s+many\b|\bwhat\s+(?:is\s+the\s+)?(?:total\s+)?(?:number|count)\s+of\b", re.IGNORECASE)
_ASKS_SHARE = re.compile(r"\b(?:what|which)\s+(?:is\s+the\s+)?(?:percentage|percent|proportion|share)\b", re.IGNORECASE)
YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
NUMBER = re.compile(
    r"(?<![\w.,])(?:\d[\d,]*(?:\.\d+)?[kKM]?(?!\w|[.,:]\d)(?:\s(?:hundred|thousand|million|billion|trillion))?|(?:one|two|three|four|five|six|seven|eight|nine|ten"
    r"|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|twenty|thirty|forty|fifty)(?:-\w+)?|zero|no|none)(?!\w)",
    re.IGNORECASE,
)
SHARE = re.compile(r"\d[\d,.]*\s?(?:%|percent\b)")
_MONEY = re.compile(r"[$€£¥]\s?\d[\d,.]*\d|[$€£¥]\s?\d|\d[\d,.]*\s?(?:dollars|euros|pounds|cents|yuan)\b")
_ASKS_MONEY = re.compile(r"\bhow\s+much\b|\bprice\b|\bcost\b", re.IGNORECASE)
_ASKS_YEAR = re.compile(r"\b(?:what|which)\s+year\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d.,$€£-])(?:1[0-9]|20)\d\d(?![\d%]|[.,]\d|\s?[A-Za-z]{1,2}\b(?<!in)(?<!at)(?<!on))")
_ASKS_TIME = re.compile(r"\bwhat\s+time\b", re.IGNORECASE)
_TIME = re.compile(r"(?<!\d)\d{1,2}:\d\d(?::\d\d)?(?:\s?[ap]\.?m\.?(?!\w))?(?!\d)", re.IGNORECASE)
_ASKS_PHONE = re.compile(r"\b(?:phone|telephone|fax|mobile|contact)\s*(?:number|no)?\b|电话|手机号", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w-])(?:\+?\(?\d[\d()\s./-]{4,}\d)(?![\w-])")
_ASKS_MAIL = re.compile(r"\be-?mail\b|邮箱", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ASKS_SITE = re.compile(r"\b(?:website|web\s+address|url|web\s*site)\b|网址|网站", re.IGNORECASE)
_SITE = re.compile(
    r"(?:https?://|www\.)[^\s,;\"')]+[^\s,;\"').]|(?<![\w@.])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|gov|edu|io|cn|uk|de)(?:/[^\s,;\"')]*[^\s,;\"').])?(?![\w@])"
)
_ASKS_DATE = re.compile(r"\bdate\b|日期", re.IGNORECASE)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATE = re.compile(
    rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s+\d{{4}})?(?!\d)|\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH},?(?:\s+\d{{4}})?"
    r"|(?<![\d/.-])\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}(?![\d/-])|\d{4}年\d{1,2}月\d{1,2}日"
)
_PART_OF = re.compile(r"\bout\s+of\b|\bof\s+(?:them|which|whom|these|those)\b", re.IGNORECASE)
_COMPARED = re.compile(
    r",?\s+(?:(?:as\s+)?compared\s+(?:with|to)|whereas|while|versus|(?:up|down)\s+from|rather\s+than|instead\s+of|but)\s",
    re.IGNORECASE,
)


def figure_in(plain: Plain, question: str) -> Plain | None:
    """Return the one number, share, price, year or time of a sentence that answers a question for one."""
    asked = content(question)
    kinds = (
        (_ASKS_SHARE, SHARE),
        (ASKS_NUMBER, NUMBER),
        (_ASKS_MONEY, _MONEY),
        (_ASKS_YEAR, _YEAR),
        (_ASKS_TIME, _TIME),
        (_ASKS_DATE, _DATE),
        (_ASKS_PHONE, _PHONE),
        (_ASKS_MAIL, _MAIL),
        (_ASKS_SITE, _SITE),
    )
    pattern = next((pattern for asks, pattern in kinds if asks.search(question)), None)
    if pattern is None:
        return None
    tail = _COMPARED.search(plain.text)
    if tail and pattern.search(plain.text, 0, tail.start()):
        plain = plain.part(0, tail.start())
    numbers = list(pattern.finditer(plain.text))
    if share := _of_the_whole(plain.text, numbers, asked):
        return plain.part(*share.span())
    if len(numbers) > 1 and _PART_OF.search(plain.text):
        return None
    if len(numbers) > 1:  # the one that counts what is asked for: "four people: two men and two women"
        counted = [
            match
            for match in numbers
            if (after := _WORD.match(plain.text, match.end() + 1))
            and stem(after[0].strip(".,;:!?\"'()[]*").lower()) in asked
        ]
        numbers = counted if len(counted) == 1 else []
    if len(numbers) != 1 or re.search(r"\bor\b", plain.text[: numbers[0].end() + 4][-12:]):
        return None
    return plain.part(*numbers[0].span())


def _of_the_whole(text: str, numbers: list[re.Match[str]], asked: frozenset[str]) -> re.Match[str] | None:
    """Return the first number of "two of the six eggs are brown", where brown is what is asked for."""
    if len(numbers) != 2 or not re.fullmatch(
        r"\s+(?:out\s+)?of\s+(?:the\s+|these\s+|those\s+|all\s+)?", text[numbers[0].end() : numbers[1].start()]
    ):
        return None
    told = text[numbers[1].end() :].split(maxsplit=1)
    return numbers[0] if len(told) > 1 and content(told[1]) & asked - content(told[0]) else None
