"""Whether a part cut from a sentence can be the answer: of the kind asked for, and cut at the ends of words."""

import re

from vlmake.extract.strict.clean import Plain

_ASKS_FIGURE = re.compile(
    r"\bhow\s+(?:many|much|old|tall|long|far|heavy|wide|deep|high|fast)\b|\bwhat\s+(?:time|year|percentage|percent|date)\b"
    r"|\b(?:number|price|temperature|score|phone|percentage|year|date|amount|median|average|code|postcode"
    r"|zip)\s*(?:on|of|is|was|does|for|at|in|\?|$)|多少(?!人物)|几(?:点|号|个|岁|年|月|楼|层|本|只|人|位|条|张|元)|多[大长高远重]",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"\d|\b(?:zero|no|none|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
    r"|half|quarter|noon|midnight|a\s+few|several|many|dozen|dozens|free|single|pair|twice|once|both|all"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
    r"|[零一二三四五六七八九十百千万两半几½¼¾⅓⅔π√]|[①-⑳]|(?-i:\b[A-Z]{2,}\b)|没有|无|免费|中午|午夜",
    re.IGNORECASE,
)
_ASKS_COLOUR = re.compile(r"\bcolou?rs?\b|颜色|什么色", re.IGNORECASE)
_COLOUR = re.compile(
    r"red|green|blue|yellow|black|white|gr[ae]y|brown|pink|purple|orange|violet|turquoise|teal|cyan|magenta|beige"
    r"|gold|silver|navy|maroon|cream|tan|khaki|olive|lavender|indigo|crimson|scarlet|burgundy|bronze|copper|ivory"
    r"|dark|light|bright|colou?r|striped|transparent|clear|mint|coral|salmon|lime|mustard|rust|blond|amber|peach"
    r"|aqua|charcoal|plum|lilac|ochre|rainbow|emerald|ruby|[色红绿蓝黄黑白灰棕粉紫橙褐青金银透]",
    re.IGNORECASE,
)
_LOOSE_END = re.compile(
    r"(?:^|[\s,])(?:is|are|was|were|the|(?-i:a|an)|of|and|or|to|with|in|on|at|by|from|cannot|can|not|which|that|than|because"
    r"|has|have|but|so|for)$|[(\[\u4e00-\u9fff]?[是和与或及]$|^第$|(?<![华行作认成])为$|(?<![存现潜内])在$|(?<!\b[A-F])[+×*/=:,(]$",
    re.IGNORECASE,
)
_LOOSE_START = re.compile(
    r"(?:is|are|was|were|cannot|of|and|or|but|than|because|which|that|so|then|it|there|he|she|they|been|being"
    r"|visible|clearly|not)\b(?!\s*[\"'])|的话|的是|[是为](?=[\u4e00-\u9fff])|限公司|[)\],.:;%]",
    re.IGNORECASE,
)
_STATES = re.compile(
    r"\b(?:cannot|can't|isn't|aren't|wasn't|doesn't|don't|is|are|was|were|because|although|whereas)\b|[\u4e00-\u9fff]\s?是",
    re.IGNORECASE,
)
_PAIRS = (("(", ")"), ("[", "]"), ("《", "》"), ("「", "」"))
_SEVERAL_FIGURES = re.compile(r"\d\S*\s+(?:at|with|and|while|when|after|before|compared)\s[^.]*\d")
_CLAUSE = re.compile(
    r",\s+(?:which|where|while|who|but|so|and\s+the)\b|\s(?:while|whereas|which|although)\s", re.IGNORECASE
)
_DEPICTION = re.compile(
    r"^(?:an?|the)\s(?:[\w-]+\s){0,3}(?:picture|image|photo|photograph|scene|view|screenshot)s?\b", re.IGNORECASE
)
_ASKS_DEPICTION = re.compile(r"\b(?:type|kind|sort|picture|image|photo)\b", re.IGNORECASE)
_ASKS_WHY = re.compile(r"\W*why\b|为什么|为何", re.IGNORECASE)
_REASON = re.compile(r"(?:because|for|to|so|since|due|in\s+order|as|out\s+of|by)\b|因为|为了|由于", re.IGNORECASE)
_LOOSE_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)(?<!s')")
_QUOTED = re.compile(r"[\"「《][^\"「」《》\n]{1,200}[\"」》]")
_ASKS_TIME = re.compile(r"\bwhat\s+time\b|\bwhen\b|几点", re.IGNORECASE)
_TIME = re.compile(r"\d{1,2}:\d\d|\b\d{1,2}\s?[ap]\.?m\b", re.IGNORECASE)
_MANY_WORDS = 10
_PARTICIPLE = re.compile(r"[a-z]+ed|written|visible|shown|seen|given|readable|legible|hidden")
_ASKS_A_NAME = re.compile(
    r"\b(?:name|title|brand|number|author|word|words|text|says?|said|read|reads|written|date|year|price|score|code|password|address|logo"
    r"|slogan|headline)\b|名|写|标题|号码|作者|多少|什么字",
    re.IGNORECASE,
)
_AT_A_PLACE = re.compile(
    r"\b(?:is|are|was|were|written|printed|shown|located|displayed|placed|found|engraved|painted|visible)\s+(?:clearly\s+)?"
    r"(?:in|on|at|under|above|below|near|behind|beside|inside|along|across|around|to|with|by)\s+$",
    re.IGNORECASE,
)
_ASKS_PLACE = re.compile(
    r"\b(?:where|when|how|location|located|position|place|side|part|page|corner|whom?)\b|哪|何处|位置"
    r"|\b(?:in|on|at|by|with|under|near|to|from)\s*[?]?\s*$",
    re.IGNORECASE,
)
_PLACE_ZH = re.compile(r"(?:[上下左右中里内外前后]|角|边|部|侧|处|面|旁|方)$")


def fits(part: Plain, sentence: Plain, question: str) -> bool:
    """Return whether a part of a sentence can stand as the answer to the question.

    It has the kind of value asked for (a figure, a colour), it is cut neither inside a pair of quotes or brackets nor
    inside a date, and it is a phrase: it neither begins nor ends with a word that needs another, and states nothing.

    Args:
        part: What was cut out.
        sentence: What it was cut from.
        question: What was asked.
    """
    text = part.text.strip(" \t\r\n.。,;:!\"'")
    if not text:
        return False
    if len(text.split()) > _MANY_WORDS or text.count('"') % 2 or any(text.count(a) != text.count(b) for a, b in _PAIRS):
        return False
    quotations = [said for said in _QUOTED.findall(sentence.text) if said[1:-1] not in question]
    if _quoted(part, sentence) and len(quotations) < 2:
        return of_the_kind(text, question)
    if not re.match(r"\W*why\b|为什么|为何", question, re.IGNORECASE) and (
        _STATES.search(text) or _LOOSE_START.match(text) or _LOOSE_END.search(text)
    ):
        return False
    if len(_LOOSE_QUOTE.findall(text)) % 2 or (len(quotations) > 1 and '"' in sentence.text):
        return False
    if _ASKS_TIME.search(question) and len(_TIME.findall(sentence.text)) > 1:
        return False
    if _SEVERAL_FIGURES.search(text) or _CLAUSE.search(text):
        return False
    if _says_where(part, sentence, question):
        return False
    if _PARTICIPLE.fullmatch(text) and _ASKS_A_NAME.search(question):
        return False
    if _DEPICTION.match(text) and not _ASKS_DEPICTION.search(question):
        return False
    if _ASKS_WHY.match(question) and not _REASON.match(text):
        return False
    return of_the_kind(text, question) and not _inside_a_number(part, sentence)


def of_the_kind(text: str, question: str) -> bool:
    """Return whether a text has the kind of value that a question asks for: a figure, a colour."""
    if _ASKS_COLOUR.search(question) and re.match(
        r"\W*(?:what|which)\s+(?:is\s+the\s+)?colou?r|.*什么颜色", question, re.I
    ):
        return _COLOUR.search(text) is not None
    return not _ASKS_FIGURE.search(question) or _FIGURE.search(text) is not None


def _quoted(part: Plain, sentence: Plain) -> bool:
    """Return whether the sentence puts the whole part between quotation marks."""
    start = next((n for n, at in enumerate(sentence.places) if at == part.places[0]), 0)
    end = start + len(part.text)
    return (
        start > 0 and sentence.text[start - 1] in "\"'「《" and sentence.text[end : end + 1] in ('"', "'", "」", "》")
    )


def _inside_a_number(part: Plain, sentence: Plain) -> bool:
    """Return whether the sentence goes on with further digits: "Nov 30" of "Nov 30, 2024"."""
    if not part.text or not part.text[-1].isdigit():
        return False
    last = part.places[-1]
    place = next((n for n, at in enumerate(sentence.places) if at == last), None)
    return (
        place is not None and re.match(r"\d|[.:/-]\d|,\s?(?:\d{4}\b|\d{3}\b)", sentence.text[place + 1 :]) is not None
    )


def _says_where(part: Plain, sentence: Plain, question: str) -> bool:
    """Return whether a part says where something is or how it is printed, while its name or value was asked for."""
    if not _ASKS_A_NAME.search(question) or _ASKS_PLACE.search(question):
        return False
    start = next((n for n, at in enumerate(sentence.places) if at == part.places[0]), 0)
    before = sentence.text[:start]
    if re.search(r"在[^,。是]{0,4}$|位于[^,。是]{0,4}$", before) and _PLACE_ZH.search(part.text):
        return True
    if re.match(
        r"(?:in|on|at|above|below|under|near|behind|beside|inside|next\s+to)\s+(?:the|an?|its|his|her)\b", part.text
    ):
        return True
    named = part.text[:1].isupper() or re.match(r"\W*[\"'\d]", part.text)
    return _AT_A_PLACE.search(before) is not None and not named
