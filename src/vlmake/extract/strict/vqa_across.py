"""The open answer in a sentence of another language than its question, with no shared words: 作者是 Yuki Tanaka."""

import re

from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.frames_zh import is_chinese

_CLAUSES = re.compile(r"[,;。](?!\s?\d)\s*|\.\s+")
_COPULA_ZH = re.compile(
    r"^[^是为叫:\"「]{0,16}?(?P<verb>(?:英文|中文)?(?:意思|翻译|译文)(?:是|为)|是|为|叫做?|写着|写的是|显示的?是?|读作|:)[:\s]*(?P<value>.+)$"
)
_COPULA = re.compile(
    r"^\W*(?:the|this|that|it|its|his|her|their)\b[^,.:\"]{0,60}?(?:\b(?:is|are|was|were|says|reads|shows|means)\b|'s\b)"
    r"(?:\s+(?:called|named|written|labell?ed|spelled|spelt|titled|known\s+as))?(?:\s+as)?"
    r"[:\s]*(?P<value>[^,]+)$",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|「([^」\n]{1,200})」|《([^》\n]{1,200})》|(?<!\w)'([^'\n]{1,200})'(?!\w)")
_SCENE = re.compile(r"\s+(?:in|on|of|from)\s+the\s+(?:image|picture|photo|screen|chart|figure)$", re.IGNORECASE)
_NO_VALUE = re.compile(
    r"\b(?:is|are|was|were|not|located|in\s+the|on\s+the|at\s+the)\b|[不没在位]于?(?=[\u4e00-\u9fff])", re.I
)
_TRIM = " \t\r\n\"'.。,;:!"
_FEW_WORDS, _FEW_CHARACTERS = 7, 12


def answer_across(plain: Plain, question: str) -> Plain | None:
    """Return what the one clause says that gives a value, where sentence and question differ in language."""
    chinese = is_chinese(plain.text)
    if chinese == is_chinese(question) or not question.strip():
        return None
    ends = [match.span() for match in _CLAUSES.finditer(plain.text)]
    starts, stops = [0, *(end for _, end in ends)], [*(start for start, _ in ends), len(plain.text)]
    given: list[tuple[str, Plain]] = []
    for start, stop in zip(starts, stops, strict=True):
        clause = stripped(plain.part(start, stop), " \t\r\n.。,;!")
        in_chinese = is_chinese(clause.text)
        match = (_COPULA_ZH if in_chinese else _COPULA).match(clause.text)
        if match and (value := _value(clause.part(*match.span("value")))):
            given.append((match["verb"] if in_chinese else "", value))
    meaning = [value for verb, value in given if re.search("意思|翻译|译文", verb)]
    if len(meaning) == 1:
        return meaning[0]
    return given[0][1] if len(given) == 1 or (given and not chinese) else None


def _value(plain: Plain) -> Plain | None:
    """Return a value without its quotes and its scene, or None where it is no short phrase."""
    if quoted := _QUOTED.match(plain.text):
        group = next(n for n in (1, 2, 3, 4) if quoted[n] is not None)
        return plain.part(*quoted.span(group))
    if scene := _SCENE.search(plain.text):
        plain = plain.part(0, scene.start())
    plain = stripped(plain, _TRIM)
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in plain.text)
    if not plain.text or _NO_VALUE.search(plain.text) or len(plain.text.split()) > _FEW_WORDS or han > _FEW_CHARACTERS:
        return None
    return plain
