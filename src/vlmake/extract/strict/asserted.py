"""A text without what nobody stands behind: questions, conditions, hearsay, what is yet to be looked at."""

import re
from collections.abc import Iterator, Mapping

from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.discourse import CONCLUDES
from vlmake.extract.strict.overlap import word_set, words_in
from vlmake.extract.strict.withheld import HEARSAY, IF, SEEMED_AFTER, SENTENCE_END, TURN, has_condition, is_answered

_CONSIDERS = re.compile(
    r"\b(?:let's|let\s+us|let\s+me|(?:we|I)(?:\s+|')(?:ll|will|am\s+going\s+to|m\s+going\s+to|need\s+to|have\s+to"
    r"|should|must|now|first))\s+(?:also\s+|first\s+|now\s+|then\s+|next\s+|start\s+by\s+|begin\s+by\s+)?"
    r"(?:consider(?:ing)?|examin(?:e|ing)|check(?:ing)?|look(?:ing)?\s+(?:at|into)|analy[sz](?:e|ing)|evaluat(?:e"
    r"|ing)|go(?:ing)?\s+through|test(?:ing)?|verify|start\s+with|begin\s+with|review|assess|inspect|try|discuss"
    r"|think\s+about)\b[^,.;:\n。]*"
    r"|(?:我们|让我们|首先|先|接下来|下面|再|来)(?:先|来|再|一起|逐一)*(?:看一?看?|分析|考虑|检查|观察|验证"
    r"|讨论)(?:一下)?(?=选项|[A-Z](?![a-z]))[^,.;:\n。]*"
    r"|\b(?:whether|(?:determine|see|check|decide|tell|know|sure|unsure|verify)\s+if)\b[^,.;\n。]*|是否[^,.;\n。]*",
    re.IGNORECASE,
)
_HINTS = word_set(  # words without which an English text holds none of this
    "if unless suppose supposing provided case were had some many others most few several people someone somebody "
    "anyone student students might may could they first initially originally tempted tempting rumored rumoured "
    "said claimed surface whether determine unsure consider considering examine examining check checking look "
    "looking analyze analyse analyzing analysing evaluate evaluating through test testing verify start begin "
    "review assess inspect try discuss about going know sure"
)
_HINTS_ZH = re.compile(
    "如果|假[如设使]|倘若|要是|除非|若|只有当|万一|人|同学|大家|学生|他们|乍|误|以为|看|是否|先|分析|考虑|检查|观察"
    "|验证|讨论"
)


def asserted(plain: Plain, options: Mapping[str, str], question: str | None) -> Plain:
    """Return the text with blanks for what it names without saying that it is so; places stay.

    A question that is answered right behind stays ("B? No."), and what an option itself says ("if it rains") does too.
    """
    text = plain.text
    asks = "?" in text and not any("?" in option or "？" in option for option in options.values())
    if not asks and _HINTS.isdisjoint(words_in(text)) and (text.isascii() or not _HINTS_ZH.search(text)):
        return plain
    conditions = not any(IF.search(option) for option in options.values())
    blank = bytearray(len(text))
    for start, end in _sentences(text):
        if asks and "?" in text[max(start, end - 3) : end] and not is_answered(text, start, end):
            blank[start:end] = b"\x01" * (end - start)
            continue
        for begin, stop in _segments(text, start, end):
            segment = text[begin:stop]
            if (conditions and has_condition(segment, question)) or _seemed(segment):
                blank[begin:stop] = b"\x01" * (stop - begin)
            elif said := HEARSAY.search(segment):
                blank[begin + said.start() : stop] = b"\x01" * (stop - begin - said.start())
    for match in _CONSIDERS.finditer(text):
        blank[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    if not any(blank):
        return plain
    said_so = "".join(
        " " if withheld and letter != "\n" else letter for letter, withheld in zip(text, blank, strict=True)
    )
    return Plain(said_so, plain.places)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        yield start, end.end()
        start = end.end()
    yield start, len(text)


def _segments(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a sentence between "but", "so" and semicolons."""
    cuts = sorted({match.start() for cut in (TURN, CONCLUDES, _SEMICOLON) for match in cut.finditer(text, start, end)})
    yield from zip([start, *cuts], [*cuts, end], strict=True)


_SEMICOLON = re.compile(";")


def _seemed(segment: str) -> bool:
    return SEEMED_AFTER.match(segment) is not None
