"""Cutting the answer out of an English sentence that repeats its question: "The camera is a Pentax." is a Pentax.

A sentence is read as subject, verb and rest. Where the question accounts for the subject, the rest is the answer;
where it accounts for the verb and the rest, the subject is. A question for a number takes the sentence's number.
"""

import re

from vlmake.extract.strict_clean import Plain, stripped
from vlmake.extract.strict_discourse import CONCLUDES
from vlmake.extract.strict_frames_zh import answer_in_chinese, is_chinese
from vlmake.extract.strict_overlap import content, stem

_WORD = re.compile(r"[^\s]+")
_FRAME_WORDS = frozenset(
    "a an the this that these those it its it's he she they there here his her their one ones is are was were be been being 's of in on at to by with "
    "as for from via into and or which who that so thus therefore hence approximately about around roughly nearly exactly only just indeed clearly "
    "probably likely most seems seem appears appear looks look like called named labeled labelled titled written reads read says say said shows show "
    "shown showing displays displayed displaying states stated indicates indicated depicts depicted means mean made located found given listed marked "
    "printed visible seen see image picture photo photograph figure chart graph diagram table screenshot scene text total answer value has have had does "
    "did do can could will would should contains contain containing i we you count get according based both all also image's therefore still currently".split()
)
_VERBS = frozenset(
    "is are was were be 's 're reads read says say shows show displays indicates states stated spells costs measures weighs equals means contains holds "
    "has have had wears called named appears seems looks won includes include gives see count opens closes starts begins ends lies stands sits belongs".split()
)
_INSTRUMENT_VERBS = frozenset("reads shows displays indicates says states".split())
_AFTER_VERB = frozenset(
    "called named labeled labelled titled written shown displayed given listed marked printed stated approximately about around roughly nearly exactly only just "
    "indeed clearly probably likely most therefore thus also still currently like to be been made by of that as due from".split()
)
_NO_VERB_IN_ANSWER = frozenset("is are was were has have had because which but may might must can would".split())
_LEAD = re.compile(
    r"^\W*(?:(?:according\s+to|based\s+on|judging\s+by|looking\s+at|from|in|on|as\s+(?:shown|seen|indicated)\s+(?:in|on|by))\s+(?:the|this)\s+[^,]{1,60},\s*"
    r"|(?:although|though|while|whereas|since|as|because|if)\s[^,]{3,200},\s*|(?:yes|sure|okay|ok|certainly|hmm|well|here)\b[,!.]\s*"
    r"|(?:I\s+(?:think|believe|guess|would\s+say|can\s+see|see|count)|I'd\s+say|it\s+(?:seems|appears)|we\s+(?:get|find|have|can\s+see))\s+(?:that\s+)?)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"^\W*(?:it(?:'s|\s+is|\s+was|\s+(?:looks|seems|appears)\s+(?:like|to\s+be)|\s+(?:reads|says|shows|means|costs|measures|weighs))|this\s+(?:is|was)|that(?:'s|\s+is|\s+would\s+be)"
    r"|(?:he|she)(?:'s|\s+is|\s+was)|they(?:'re|\s+are|\s+were)(?:\s+(?:likely|probably))?|they\s+(?:appear|seem)\s+to\s+be|(?:he|she)\s+(?:appears|seems)\s+to\s+be|there\s+(?:is|are|was|were))\s+",
    re.IGNORECASE,
)
_LAST_CLAUSE = re.compile(
    r"(?:,\s*|;\s*|:\s+|\.\s+|\s+(?:—|–)\s+|,?\s+)(?:so|and(?=\s+the\s)|thus|therefore|hence|which\s+means|meaning)\s+(?=\S)|[;]\s*|(?<=[A-Za-z]):\s+"
)
_APPOSITIVE = re.compile(r",\s+(?:located|shown|which|as|displayed|printed|found|written|visible|listed)\b[^,]{1,80},(?=\s)")
_TAIL = re.compile(
    r"\s*(?:,\s+(?:with|which|while|although|though|and|as|but|because|since|at|based|according|followed|making|in|on|who|where|a)\s.*|\s*\([^()]*\)|:\s.*)\s*[.。]?\s*$", re.DOTALL
)
_SCENE_TAIL = re.compile(
    r"\s+(?:(?:in|on|of|from|within|at)\s+(?:the|this|that)\s+(?:given\s+)?(?P<where>[\w\s'-]{2,40})|in\s+(?P<language>\w+)|(?:in|on|around|over)\s+(?:his|her|their|its|one|both)\s+[\w\s]{2,24})[.]?$",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|「([^」\n]{1,200})」|《([^》\n]{1,200})》")
ASKS_WORDS = re.compile(
    r"\b(?:say|says|said|read|reads|written|write|word|words|text|title|name|named|called|label|caption|spell|mean|quote|headline|slogan|nickname|sign|letters?|book|song|movie|film)\b"
    r"|写|字|名|标题|叫|意思|读",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(r"\bhow\s+many\b|\bwhat\s+(?:is\s+the\s+)?(?:number|count)\s+of\b", re.IGNORECASE)
_ASKS_SHARE = re.compile(r"\b(?:what|which)\s+(?:is\s+the\s+)?(?:percentage|percent|proportion|share)\b", re.IGNORECASE)
_ASKS_SUBJECT = re.compile(r"^\W*(?:who|which)\b(?!\s+(?:is|are|was|were|do|does|did)\b)|^\W*what\s+(?!is|are|was|were|do|does|did)\w+", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\d[\d,]*(?:\.\d+)?[kKM]?(?!\w|[.,:]\d)|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|twenty|thirty|forty|fifty)(?:-\w+)?|zero|no|none)(?!\w)",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\d[\d,.]*\s?(?:%|percent\b)")
_PREPOSITION = re.compile(r"(?:at|on|in|to|by|via|from)\s+(?=\S)")
_ASKS_PLACE = re.compile(r"\bwhere\b|\bhow\b|\bposition\b|\blocation\b|\bwhy\b", re.IGNORECASE)
_EQUATION = re.compile(r"[^=\n]{0,120}=\s*(?:[^=\n]{1,80}=\s*)*(?P<value>[^=\n]{1,40})")
_ASKS_EQUATION = re.compile(r"\b(?:equation|formula|expression|written|function|read|say)\b|公式|方程|写", re.IGNORECASE)
_TRIM = " \t\r\n\"'“”‘’「」《》.。!！,，;；:："
_MANY = 14  # words of an answer at most
_FEW = 7  # words of an answer behind a subject that the question does not account for in full


def answer_in(sentence: Plain, question: str, alone: bool = False) -> Plain | None:
    """Return the answer that a sentence gives to a question, or None where no one part of it is the answer.

    Args:
        sentence: A sentence, cleaned and without marks.
        question: What was asked.
        alone: Whether the sentence is the whole prediction; then its subject may be a pronoun, or the thing looked at.
    """
    plain = without_frame(sentence)
    if is_chinese(plain.text):
        return answer_in_chinese(plain, question, alone)
    quoted = list(_QUOTED.finditer(plain.text))
    if len(quoted) == 1 and ASKS_WORDS.search(question):
        group = next(n for n in (1, 2, 3) if quoted[0][n] is not None)
        return plain.part(*quoted[0].span(group))
    if (equation := _EQUATION.fullmatch(plain.text.rstrip(". "))) and not _ASKS_EQUATION.search(question):
        return stripped(plain.part(*equation.span("value")), _TRIM)
    if number := _number(plain, question, content(question)):
        return number
    pieces = [plain, *(plain.part(match.end(), len(plain.text)) for match in _LAST_CLAUSE.finditer(plain.text))]
    for piece in reversed(pieces):
        if (found := _english(without_frame(piece), question, alone)) and found.text:
            return found
    return None


def without_frame(plain: Plain) -> Plain:
    """Return a sentence without "According to the chart," and "I think" before it."""
    plain = stripped(plain)
    for pattern in (CONCLUDES, _LEAD, CONCLUDES, _LEAD):
        if (lead := pattern.match(plain.text)) and lead.end() < len(plain.text):
            plain = stripped(plain.part(lead.end(), len(plain.text)))
    return plain


def _english(plain: Plain, question: str, alone: bool) -> Plain | None:
    asked = content(question)
    if number := _number(plain, question, asked):
        return number
    if inserted := _APPOSITIVE.search(plain.text):
        places = [*plain.places[: inserted.start()], *plain.places[inserted.end() :]]
        plain = Plain(plain.text[: inserted.start()] + plain.text[inserted.end() :], places)
    tail = _TAIL.search(plain.text)
    if tail and tail.start() > 0:
        plain = plain.part(0, tail.start())
    words = list(_WORD.finditer(plain.text))
    given = [_is_given(word[0], asked, question, place == 0) for place, word in enumerate(words)]
    if not words or all(given):
        return None
    return _around_the_verb(plain, words, given, question, alone) or _new_words(plain, words, given, asked)


def _number(plain: Plain, question: str, asked: frozenset[str]) -> Plain | None:
    """Return the one number, or percentage, of a sentence that answers a question for one."""
    pattern = _SHARE if _ASKS_SHARE.search(question) else _NUMBER if _ASKS_NUMBER.search(question) else None
    if pattern is None:
        return None
    numbers = list(pattern.finditer(plain.text))
    if len(numbers) > 1:  # the one that counts what is asked for: "four people: two men and two women"
        counted = [match for match in numbers if (after := _WORD.match(plain.text, match.end() + 1)) and stem(_bare(after[0])) in asked]
        numbers = counted if len(counted) == 1 else []
    if len(numbers) != 1 or re.search(r"\bor\b", plain.text[: numbers[0].end() + 4][-12:]):
        return None
    return plain.part(*numbers[0].span())


def _around_the_verb(
    plain: Plain, words: list[re.Match[str]], given: list[bool], question: str, alone: bool
) -> Plain | None:
    """Return what stands behind the verb of a known subject, or before the verb where all behind it is known."""
    asked = content(question)
    if (pronoun := _PRONOUN.match(plain.text)) and (alone or asked & content(plain.text)):
        return _rest(plain, _behind(plain, words, pronoun.end(), asked), question)
    for place, word in enumerate(words):
        if _bare(word[0]) not in _VERBS and not (place and given[place] and _is_verb(word[0], question)):
            continue
        if all(given[place:]) and not all(given[:place]):
            return _subject(plain, words, place)
        shares = bool(asked & content(plain.text[: word.start()]))
        measured = alone and _bare(word[0]) in _INSTRUMENT_VERBS and words[0][0].lower() in ("the", "this", "it")
        if all(given[:place]) or (shares and alone and place) or measured:
            rest = _rest(plain, _behind(plain, words, word.end(), asked), question)
            if rest is not None and (all(given[:place]) or len(rest.text.split()) <= _FEW):
                return rest
            return None
    run = next((n for n, known in enumerate(given) if known and words[n][0].lower() not in ("the", "a", "an")), len(words))
    if run and _ASKS_SUBJECT.search(question) and run < len(words) and _is_verb(words[run][0], question):
        return _subject(plain, words, run)
    return None


def _behind(plain: Plain, words: list[re.Match[str]], start: int, asked: frozenset[str]) -> int:
    """Return where the first word behind a verb stands that does not belong to it."""
    return next((word.start() for word in words if word.start() >= start and not _passed(word[0], asked)), len(plain.text))


def _passed(word: str, asked: frozenset[str]) -> bool:
    """Return whether a word behind the verb still belongs to it: "is *called*", "is *holding*"."""
    bare = _bare(word)
    return bare in _AFTER_VERB or stem(bare) in asked


def _is_verb(word: str, question: str) -> bool:
    """Return whether a word of the sentence is a verb that the question uses: won, shows, opens."""
    bare = _bare(word)
    return bare in _VERBS or (len(bare) > 3 and bare.endswith(("s", "ed")) and re.search(rf"\b(?:does|did|do|who|which\s+\w+|what\s+\w+)\b.*\b{re.escape(stem(bare))}", question, re.IGNORECASE) is not None)


def _rest(plain: Plain, start: int, question: str) -> Plain | None:
    """Return what a sentence says from ``start`` on, where that is one short phrase."""
    rest = plain.part(start, len(plain.text))
    if lead := re.match(r"(?:(?:the\s+)?one\s+(?:for|of|in|with)\s+|(?:via|by)\s+|the\s+route\s+via\s+)", rest.text):
        rest = rest.part(lead.end(), len(rest.text))
    if (lead := _PREPOSITION.match(rest.text)) and not _ASKS_PLACE.search(question):
        rest = rest.part(lead.end(), len(rest.text))
    asked = content(question)
    while (tail := _SCENE_TAIL.search(rest.text)) and tail.start() > 0:
        if not content(tail["where"] or tail["language"] or "") <= asked:
            break
        rest = rest.part(0, tail.start())
    words = rest.text.split()
    why = re.match(r"\W*why\b", question, re.IGNORECASE)
    if not words or len(words) > _MANY or words[0].lower() in ("not", "no"):
        return None
    if not why and any(word.strip(_TRIM).lower() in _NO_VERB_IN_ANSWER for word in words):
        return None
    return stripped(rest, _TRIM)


def _subject(plain: Plain, words: list[re.Match[str]], end: int) -> Plain | None:
    """Return the words before the verb as the answer."""
    subject = stripped(plain.part(0, words[end].start()), _TRIM)
    many = len(subject.text.split()) > _FEW or any(word.lower() in _NO_VERB_IN_ANSWER for word in subject.text.split())
    return None if many else subject


def _new_words(plain: Plain, words: list[re.Match[str]], given: list[bool], asked: frozenset[str]) -> Plain | None:
    """Return the words that the question does not account for, where they stand together."""
    new = [place for place, known in enumerate(given) if not known]
    if len(new) == len(words) > 3:
        return None
    inside = words[new[0] : new[-1] + 1]
    between = [word for place, word in enumerate(inside, new[0]) if given[place] and _bare(word[0]) not in _FRAME_WORDS]
    # What the sentence says of something else than the question is no answer to it.
    if between or len(inside) > _MANY or len(words) == len(inside) or (not asked & content(plain.text) and len(words) > 4):
        return None
    if any(_bare(word[0]) in _NO_VERB_IN_ANSWER or _bare(word[0]) == "not" for word in inside):
        return None
    return stripped(plain.part(inside[0].start(), inside[-1].end()), _TRIM)


def _is_given(word: str, asked: frozenset[str], question: str, first: bool) -> bool:
    """Return whether the question or the frame of a sentence accounts for a word; names ("United States") are their own."""
    bare = _bare(word)
    if not bare or stem(bare) in asked or bare in {_bare(asked_word) for asked_word in question.split()}:
        return True
    return bare in _FRAME_WORDS and (first or not word.lstrip(_TRIM + "([")[:1].isupper())


def _bare(word: str) -> str:
    return word.strip(_TRIM + "()[]*?").lower().removesuffix("'s")
