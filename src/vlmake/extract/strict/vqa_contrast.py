"""Which of several values an open answer means: "not 5 but 6", "was $10 but is now $8", "highest 45, lowest 12"."""

import re

from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.overlap import content

_NOT_BUT = re.compile(
    r"^[^\"“,;:.]{0,60}?(?:\bnot|n't)\s+(?!only\b)(?P<no>[^,;.\"]{1,60}?)(?:\s*,\s*as\s[^,]{1,30},)?(?:,?\s+but(?:\s+(?:rather|instead|actually))?"
    r"|\s*[,;.]\s*(?:but\s+)?(?:it|that|he|she|they|this)(?:'s|\s+is|\s+are|'re|\s+was)(?:\s+actually)?|,?\s+rather,?)\s*:?\s+"
    r"(?P<yes>(?!not\b)[^,;]+?)\s*[.。]?$"
    r"|^[^,。\"]{0,20}?(?:并?不是|并非|不为)(?P<no_zh>[^,。]{1,40}?)[,。;]?\s*(?:而是|应该是|应为|是)(?P<yes_zh>[^,。]+?)[。.]?$",
    re.IGNORECASE,
)
_NOT_ONLY_SAID = re.compile(
    r"\W*(?:(?:the\s+(?:correct\s+)?answer|it|that|this|he|she|they|these|those|the\s+[\w\s]{1,30}?)\s*(?:is|are|was|were|'s|'re)?\s*)?(?:\bnot\b|n't\b)"
    r"(?!\s+(?:only|enough|applicable|given|available|shown|visible|specified|to\s+scale)\b)\s+[^,;.]{1,60}[.。]?\s*$"
    r"|^[^,。\"]{0,16}?(?:答案|它|这)?(?:并?不是|不为)[^,。是]{1,40}[。.]?$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"(?:[,;]\s+|,(?=[^\d\s])|[;。\n]\s*|(?<=[^\d\s]),)\s*|\s+(?:and|but|while|whereas)\s+|(?<=\D)\.\s+"
)
_YEAR = re.compile(r"(?<![\d.$])(?<!\d,)(?:1[5-9]|20)\d\d(?![\d%]|[.,]\d)")
_RIVALS = (  # groups of qualifiers of which a value has one
    ("highest|maximum|max|most|largest|biggest|最高|最大|最多",
     "lowest|minimum|min|least|fewest|smallest|最低|最小|最少"),
    (
        "original|originally|was|previously|before|old|regular|initial|initially|formerly|原价|原来|原本|之前",
        "current|currently|now|after|new|sale|discounted|reduced|present|现价|现在|目前|折后|优惠价",
    ),
    ("january", "february", "march", "april", "may", "june", "july", "august",
     "september", "october", "november", "december"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("q1", "q2", "q3", "q4"),
    ("total|合计|总计|总价", "subtotal|小计", "tax|税", "tip"),
    ("men|man|male|males|男", "women|woman|female|females|女"),
    ("boys?|男孩|男生", "girls?|女孩|女生"),
    ("left|左", "right|右"),
    ("first|第一", "second|第二", "third|第三", "last|最后"),
    ("adults?|成人", "children|child|kids?|儿童"),
    ("starts?|begins?|beginning|opens?|opening|departs?|departure|开始|开门",
     "ends?|finish(?:es)?|ending|closes?|closing|arrives?|arrival|结束|关门"),
    ("home", "away|guests?|visitors?"),
    ("yes|agree|agreed|support(?:ed|s)?|approve[ds]?|赞成|同意",
     "no|disagree|disagreed|oppose[ds]?|disapprove[ds]?|反对|不同意"),
    ("written|wrote|handwritten|写|算出", "correct|actual|actually|right|正确|应为|应该是|实际|实际上"),
    ("morning|上午", "afternoon|下午", "evening|晚上"),
)  # fmt: skip
_VALUE = re.compile(
    r"(?<![A-Za-z\d.])(?<!\d,)(?:[$€£¥]\s?)?-?\d[\d,]*(?:\.\d+)?(?:/\d+|:\d\d)?(?:\s?(?:%|°\s?[CF]?|℃|million|billion|thousand|percent"
    r"|(?!(?:in|at|on|and|or|to|of|is|was|for|by|with|as|from|the|it)\b)[A-Za-z]{1,3}(?:/[a-z]{1,2})?[²³]?(?![A-Za-z])|[元吨人个台本只辆次万亿岁米度千公][\u4e00-\u9fff]?))?"
)
_FROM_TO = re.compile(
    r"\bfrom\s+(?P<then>[$€£¥]?\d[\d,.]*\s?(?:%|[a-z]{1,8})?)\s+(?:(?:in\s+)?\(?\d{4}\)?\s+)?(?:down\s+|up\s+)?to\s+(?P<now>[$€£¥]?\d[\d,.]*\d|[$€£¥]?\d)(?P<unit>\s?%)?",
    re.IGNORECASE,
)
_DOWN_FROM = re.compile(
    r"^(?P<now>[^,]{1,30}?),?\s+(?:(?:reduced|down|up|discounted|marked\s+down)\s+from|instead\s+of|rather\s+than|\(was)\s+(?P<then>[^,()]{1,20}?)\)?[.]?$",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\s*(?:and\s+)?(?P<label>[A-Za-z][A-Za-z '-]{1,30}?)\s*[:=]?\s+"
    r"(?P<value>[$€£¥]?\d[\d.,:%]*(?:\s?[A-Za-z%°]{1,8})?)\s*"
)
_NO_LABEL = re.compile(r"\b(?:is|are|was|were|it|it's|so|in|on|at|to|from|about|only|than|by|of)\b", re.IGNORECASE)
_THEN, _NOW = _RIVALS[1]


def meant(plain: Plain) -> Plain | None:
    """Return the value that a text puts in the place of one it denies ("not 5 but 6"), or None."""
    match = _NOT_BUT.match(plain.text)
    if not match:
        return None
    return stripped(plain.part(*match.span("yes" if match["yes"] else "yes_zh")))


def only_denies(text: str) -> bool:
    """Return whether a text says what the answer is not, and nothing else."""
    return _NOT_ONLY_SAID.match(text) is not None and not re.search(r"[\"“「]", text)


def qualified(plain: Plain, question: str) -> Plain | None:
    """Return the value of the clause with the qualifier that the question names, where other clauses have others.

    "In 2019 it was 10, in 2020 15" tells two values, and the question says of which year. An empty text is returned
    where no one clause has the qualifier.
    """
    if changed := _FROM_TO.search(plain.text) or _DOWN_FROM.match(plain.text.strip()):
        if _DOWN_FROM.match(plain.text.strip()):
            plain = stripped(plain)
        said = _then_or_now(question) or ("now" if changed.re is _DOWN_FROM else None)
        if said and not _YEAR.search(question):
            end = changed.end("unit") if said == "now" and "unit" in changed.re.groupindex and changed["unit"] else 0
            return stripped(plain.part(changed.start(said), end or changed.end(said)), " ,.")
    clauses = _clauses(plain)
    if len(clauses) < 2:
        return None
    for members in _groups(question, plain.text):
        named = [place for place, member in enumerate(members) if _names(member, question)]
        holding = [[place for place, member in enumerate(members) if _names(member, clause.text)] for clause in clauses]
        told = {places[0] for places in holding if len(places) == 1}
        wanted = named[0] if len(named) == 1 else 1 if members is _RIVALS[1] and not named else None
        if wanted is None or len(told) < 2 or wanted not in told:
            continue
        fitting = [clause for clause, places in zip(clauses, holding, strict=True) if places == [wanted]]
        values = [value for clause in fitting if (value := _value(clause))]
        return (
            values[0]
            if len({value.text for value in values}) == 1
            else plain.part(0, 0)
            if _VALUE.search(plain.text)
            else None
        )
    return None


def paired(plain: Plain, question: str) -> Plain | None:
    """Return the value beside the one label that the question names: "Home 3, Guest 1"; empty where it names none."""
    pieces = [match.span() for match in re.finditer(r"[^,;\n]+(?:,(?=\d)[^,;\n]+)*", plain.text.rstrip(" ."))]
    pairs = [match for start, end in pieces if (match := _PAIR.fullmatch(plain.text, start, end))]
    if len(pairs) < 2 or len(pairs) != len(pieces) or any(_NO_LABEL.search(pair["label"]) for pair in pairs):
        return None
    named = [pair for pair in pairs if content(pair["label"]) and content(pair["label"]) <= content(question)]
    return stripped(plain.part(*named[0].span("value"))) if len(named) == 1 else plain.part(0, 0) if not named else None


def _then_or_now(question: str) -> str | None:
    return "then" if _names(_THEN, question) else "now" if _names(_NOW, question) else None


def _groups(question: str, text: str) -> list[tuple[str, ...]]:
    """Return the groups of rivals to try: the years that question and text name, then the fixed ones."""
    years = tuple(dict.fromkeys(_YEAR.findall(text)))
    return [*([years] if len(years) > 1 and any(year in question for year in years) else []), *_RIVALS]


def _names(member: str, text: str) -> bool:
    edge = r"(?!\d)" if member[-1].isdigit() else ""  # 原价99 names 原价, 20191 no 2019
    return re.search(rf"(?<![A-Za-z\d-])(?:{member})(?![A-Za-z-]){edge}", text, re.IGNORECASE) is not None


def _clauses(plain: Plain) -> list[Plain]:
    ends = [match.span() for match in _CLAUSE.finditer(plain.text)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(plain.text)]
    return [plain.part(a, b) for a, b in zip(starts, stops, strict=True) if plain.text[a:b].strip()]


def _value(clause: Plain) -> Plain | None:
    """Return the one figure of a clause that is no year."""
    figures = [match for match in _VALUE.finditer(clause.text) if not _YEAR.fullmatch(match[0].rstrip("年 "))]
    figures = [match for match in figures if clause.text[match.end() : match.end() + 1] != "年"]
    quoted = list(re.finditer(r"\"([^\"\n]+)\"", clause.text))
    if len(quoted) == 1:
        return clause.part(*quoted[0].span(1))
    return stripped(clause.part(*figures[0].span()), " ,") if len(figures) == 1 else None


_ASKS_COLOUR = re.compile(
    r"\b(?:what|which)\s+colou?rs?\s+(?:is|are|was|were)\s+(?P<is>[^?]+)|\bcolou?rs?\s+of\s+(?P<of>[^?]+)"
    r"|\b(?:what|which)\s+colou?r\s+(?P<noun>\w+)\s+(?:is|are|does|do|was|were)\b",
    re.IGNORECASE,
)
_NOUN_END = re.compile(
    r"\s+(?:of|in|on|that|who|which|worn|at|with|near|behind|standing|wearing|parked|to|from|under|next|above|below|by|for|inside|beside)\b.*|[?.].*"
)
_HUE = (
    r"(?:(?:light|dark|bright|deep|pale|navy|sky|lime|olive|royal|forest)[\s-]+)?(?:red|green|blue|yellow|black|white|gr[ae]y|brown|pink"
    r"|purple|orange|violet|turquoise|teal|beige|gold|golden|silver|maroon|cream|tan|khaki|navy|lavender|crimson|blond|blonde)"
)
_HUES = re.compile(rf"\b{_HUE}(?:(?:\s*,\s*|\s*,?\s+and\s+|\s*[/&-]\s*){_HUE})*\b(?!-)", re.IGNORECASE)
_APART = "the|next|near|behind|beside|under|with"  # what stands behind them is another thing
_WORN_ZH = re.compile(r"什么颜?色的(?P<thing>[\u4e00-\u9fff]{1,4})")
_ASKS_COLOUR_ZH = re.compile(r"(?:^|的|[上里中])?(?P<thing>[\u4e00-\u9fff]{1,4}?)的?(?:是|呈)?(?:什么颜色|什么色|颜色)")
_HUE_ZH = r"(?:深|浅|淡|亮)?[红绿蓝黄黑白灰棕粉紫橙褐]{1,2}"


def colour_of(plain: Plain, question: str, only: bool = False) -> Plain | None:
    """Return the colour that a text gives the thing asked about, where it names colours of other things too.

    None where the text does not name the thing, or (unless ``only``) nothing but it has a colour; empty where only
    others have one.
    """
    if "颜色" in question or "什么色" in question:
        return _colour_in_chinese(plain, question, only)
    asked = _ASKS_COLOUR.search(question)
    noun = _NOUN_END.sub("", asked["is"] or asked["of"] or asked["noun"] or "").split() if asked else []
    thing = re.search(rf"\b{re.escape(noun[-1])}\b", plain.text, re.IGNORECASE) if noun else None
    hues = list(_HUES.finditer(plain.text))
    if not thing or not hues:
        return None
    own = [hue for hue in hues if _belongs(plain.text, hue, noun[-1])]
    if len(own) == 1 and (len(hues) > 1 or only):
        return plain.part(*own[0].span())
    return plain.part(0, 0) if not own and not content(plain.text) <= content(question) | content(hues[0][0]) else None


def _belongs(text: str, hue: re.Match[str], noun: str) -> bool:
    """Return whether a colour stands right before a noun, or is what the noun is said to be."""
    name = re.escape(noun)
    if re.match(rf"[\s-]+(?:colou?red\s+)?(?:[\w-]+\s+)?{name}\b", text[hue.end() :], re.IGNORECASE):
        return True
    before = text[: hue.start()]
    said = rf"\b{name}\b(?:\s+(?!(?:a|an|and|but|while)\b)[\w'-]+){{0,6}}?\s*(?:,\s*which\s+)?"
    said += r"(?:is|are|was|were|has|have|appears?|seems?|looks?|in|:|=|—)"
    return (
        re.search(
            rf"{said}\s*(?:to\s+be\s+)?(?:(?!(?:{_APART})\b)[\w-]+\s+){{0,3}}$",
            before,
            re.IGNORECASE,
        )
        is not None
    )


def _colour_in_chinese(plain: Plain, question: str, only: bool) -> Plain | None:
    worn = _WORN_ZH.search(question)
    asked = worn or _ASKS_COLOUR_ZH.search(question)
    hues = list(re.finditer(_HUE_ZH + "色?", plain.text))
    if not asked or not hues or (len(hues) < 2 and not only and not worn):
        return None
    name = asked["thing"].rpartition("的")[2] or asked["thing"]
    own = [
        hue
        for hue in hues
        if re.match(rf"的?{re.escape(name)}", plain.text[hue.end() :])
        or re.search(rf"{re.escape(name)}(?:是|为|呈|的颜色是|的颜色为)$", plain.text[: hue.start()])
    ]
    return plain.part(*own[0].span()) if len(own) == 1 else None
