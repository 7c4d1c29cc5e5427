"""Cutting the answer out of an English sentence that repeats its question: "The camera is a Pentax." is a Pentax.

A sentence is read as subject, verb and rest. Where the question accounts for the subject, the rest is the answer;
where it accounts for the verb and the rest, the subject is. A question for a number takes the sentence's number.
"""

import re

from vlmake.extract.strict.clean import TRIM, Plain, stripped
from vlmake.extract.strict.discourse import CONCLUDES
from vlmake.extract.strict.figures import ASKS_NUMBER, NUMBER, SHARE, figure_in
from vlmake.extract.strict.frames_seen import (
    category,
    done_with,
    maker_named,
    names_kind,
    reason_given,
    thing_seen,
    value_of,
)
from vlmake.extract.strict.frames_zh import answer_in_chinese, is_chinese
from vlmake.extract.strict.overlap import content, coverage, stem, word_set

_WORD = re.compile(r"[^\s]+")
_FRAME_WORDS = word_set(
    "a an the this that these those it its it's he she they there here his her their one ones is are was were be "
    "been being 's of in on at to by with as for from via into and or which who so thus therefore hence "
    "approximately about around roughly nearly exactly only just indeed clearly probably likely most seems seem "
    "appears appear looks look like called named labeled labelled titled written reads read says say said shows "
    "show shown showing displays displayed displaying states stated indicates indicated depicts depicted means "
    "mean made located found given listed marked printed visible seen see image picture photo photograph figure "
    "chart graph diagram table screenshot scene text total answer value has have had does did do can could will "
    "would should contains contain containing i we you count get according based both all also image's still "
    "currently"
)
_VERBS = word_set(
    "is are was were be corresponds represents belongs took happened occurred 's 're reads read says say shows "
    "show displays indicates states stated spells costs measures weighs equals means contains holds has have had "
    "wears called named appears seems looks won includes include gives see count opens closes starts begins ends "
    "lies stands sits"
)
_ANYONE = frozenset(stem(word) for word in ("people", "person", "man", "woman", "boy", "girl", "child"))
_INSTRUMENT_VERBS = word_set("reads shows displays indicates says states")
_AFTER_VERB = word_set(
    "painted colored coloured described identified known place called named labeled labelled titled written shown "
    "displayed given listed marked printed stated approximately about around roughly nearly exactly only just "
    "indeed clearly probably likely most therefore thus also still currently like to be been have made by of that as "
    "due from"
)
_NO_VERB_IN_ANSWER = word_set("is are was were has have had because which but may might must can would")
_LEAD = re.compile(
    r"^\W*(?:(?:according\s+to|based\s+on|judging\s+by|looking\s+at|from|in|on|as\s+(?:shown|seen"
    r"|indicated)\s+(?:in|on|by))\s+(?:the|this)\s+[^,]{1,60},\s*"
    r"|(?:although|though|while|whereas|since|as|because|if)\s[^,]{3,200},\s*|(?:at|with|by|during|after|before"
    r"|among)\s[^,]{1,40},\s*|(?:yes|sure|okay|ok|certainly|hmm|well|here)\b[,!.]\s*"
    r"|(?:I\s+(?:think|believe|guess|would\s+say|can\s+see|see|count)|I'd\s+say|it\s+(?:seems|appears)|we\s+(?:get"
    r"|find|have|can\s+see))\s+(?:that\s+)?)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"^\W*(?:it(?:'s|\s+is|\s+was|\s+(?:looks|seems|appears)\s+(?:like|to\s+be)|\s+(?:reads|says|shows|means|costs"
    r"|measures|weighs))|this\s+(?:is|was)|that(?:'s|\s+is|\s+would\s+be)"
    r"|(?:he|she)(?:'s|\s+is|\s+was)|they(?:'re|\s+are|\s+were)(?:\s+(?:likely|probably))?|they\s+(?:appear"
    r"|seem)\s+to\s+be|(?:he|she)\s+(?:appears|seems)\s+to\s+be|there\s+(?:is|are|was|were))\s+",
    re.IGNORECASE,
)
_LAST_CLAUSE = re.compile(
    r"(?:,\s*|;\s*|:\s+|\.\s+|\s+(?:—|–)\s+|,?\s+)(?:so|and(?=\s+the\s)|thus|therefore|hence|which\s+means"
    r"|meaning)\s+(?=\S)|[;]\s*|(?<=[A-Za-z]):\s+"
)
_APPOSITIVE = re.compile(
    r",\s+(?:located|shown|according|which|as|displayed|printed|found|written|visible|listed)\b[^,]{1,80},(?=\s)"
)
_TAIL = re.compile(
    r"\s*(?:,?\s+(?:(?:as\s+)?compared\s+(?:with|to)|whereas|versus|(?:up|down)\s+from|rather\s+than|instead\s+of|as\s+opposed\s+to|(?:out\s+)?of\s+which"
    r"|and\s+(?:the|its|his|her)\s+\w+\s+(?:is|are|was|were))\s.*"
    r"|,\s+[a-z]+(?:ing|ed)\s.*|,\s+(?:with|which|while|although|though|including|specifically|especially|namely|possibly|given"
    r"|and(?=.*\s(?:is|are|was|were|has|have)\b)|as|but|because|since|at|not|rather|based|according|followed"
    r"|making|in|on|who|where)\s.*|\s*\([^()]*\)|:\s.*)\s*[.。]?\s*$",
    re.DOTALL,
)
_SCENE_TAIL = re.compile(
    r"\s+(?:(?:in|on|of|from|within|at|behind|under|above|below|near|beside|inside|outside"
    r"|around|next\s+to|in\s+front\s+of)\s+(?:the|this|that)\s+(?:given\s+)?(?P<where>[\w\s'-]{2,40})|in\s+(?P<language>\w+)|(?:on|in|at|around)\s+(?:it|them|there)|(?:in|on|around|over)\s+(?:his|her"
    r"|their|its|one|both)\s+[\w\s]{2,24})[.]?$",
    re.IGNORECASE,
)
_ROLE = re.compile(r"\s+as\s+(?:the\s+|an?\s+|its\s+)?([\w-]+)[.]?$", re.IGNORECASE)
_ASIDE_TAIL = re.compile(
    r"\s+(?:given|to\s+me|based\s+on|according\s+to|as\s+(?:shown|seen|indicated|displayed))\b.*$"
    r"|\s+since\s+(?:it|there|they|he|she|the)\b.*$|,?\s+also\s+(?:known|called|referred)\b.*$|\s+and\s+(?:it\s+)?(?:is|was|are|were|has)\b.*$",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|(?<!\w)'([^'\n]{1,200})'(?!\w)|「([^」\n]{1,200})」|《([^》\n]{1,200})》")
ASKS_WORDS = re.compile(
    r"\b(?:say|says|said|read|reads|written|write|word|words|text|title|name|named|called|label|caption|spell|mean"
    r"|quote|headline|slogan|nickname|sign|letters?|book|song|movie|film)\b"
    r"|写|字|名|标题|叫|意思|读",
    re.IGNORECASE,
)
ASKS_SUBJECT = re.compile(
    r"^\W*(?:who|which)\b(?!\s+(?:is|are|was|were|do|does|did)\b)|^\W*what\s+(?!is|are|was|were|do|does|did)\w+",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"(?:not|no|visible|clear|clearly|hidden|partially|unclear|difficult|hard|determined|based|too)\b", re.IGNORECASE
)
_RELATIVE = re.compile(r"\s(?:that|which|who)\s.*$", re.DOTALL)
_PREPOSITION = re.compile(r"(?:at|on|in|to|by|via|from|for|as|of)\s+(?=\S)|in\s+(?=[A-Z])")
_BELONGS = re.compile(
    r"the\s+(?:category|word|words|name|number|letter|phrase|term|label|genre|city|country|year"
    r"|month)\s+(?:of\s+)?(?=[\"'A-Za-z\d])"
)
_SCENE_SUBJECT = re.compile(
    r"(?:the|this|a)\s+(?:[\w-]+\s+)?(?:sign|chart|image|picture|photo|label|table|scale|thermometer|document|text|figure|graph|map|screen|display|receipt|menu)",
    re.IGNORECASE,
)
_SHADE = re.compile(r"(?:light|dark|bright|deep|pale|off|navy|sky|very|lime|olive|mint|royal)\b", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\b(?:colou?r|shape|size|material|genre|brand|nationality|flavou?r|pattern)\b", re.IGNORECASE)
_MEASURED = re.compile(r"\s+(?:tall|long|wide|high|deep|thick|heavy|far|away)$", re.IGNORECASE)
_BY = re.compile(r"\b(?:is|was|were|been)\s+\w+\s+by\s+")
_WHEN = re.compile(r",?\s+(?:in|on|around|about|circa)\s+[^,.]{0,12}\d.*$")
_DID_IT = re.compile(
    r"(?P<who>[^,.]{1,50}?)\s+(?:wrote|painted|made|created|directed|won|designed|took|drew|sang|said|did|built"
    r"|has|signed)\s+(?:it|this|that)\W*",
    re.IGNORECASE,
)
_ASKS_WHO = re.compile(r"\bwho(?:se|m)?\b|\bauthor\b|\bartist\b", re.IGNORECASE)
_ASKS_PLACE = re.compile(r"\bwhere\b|\bhow\b|\bposition\b|\blocation\b|\bwhy\b", re.IGNORECASE)
_EQUATION = re.compile(  # a blank behind "=" is read in one way only: two ways double with every further "="
    r"[^=\n]{0,120}=\s*+(?:(?:[^=\s][^=\n]{0,79}|(?<=[^\S\n]))=\s*+)*(?P<value>[^=\n]{1,40})"
)
_ASKS_EQUATION = re.compile(
    r"\b(?:equation|formula|expression|written|function|read|say)\b|公式|方程|写", re.IGNORECASE
)
_NOTHING = Plain("", range(0))  # a sentence about what is asked that gives no answer
_OUTER = " \t\r\n.,;:"
_LONGEST = 1500  # characters of a sentence that is read word by word
_ABOUT = re.compile(
    r"(?:about|around|approximately|roughly|nearly|almost|exactly|only|just|equal\s+to)\s+(?=[$€£¥]?\d)", re.IGNORECASE
)
_DEPICTION = re.compile(
    r"(?:an?|the)\s+(?:[\w-]+\s+)?(?:photo|picture|image|photograph|close-up|view|drawing|painting|illustration)\s+of\s+"
    r"|(?:an?|the)\s+(?:[\w-]+\s+)?(?:value|total|price|length|height|width|score|reading|percentage|rate|share|population"
    r"|temperature|weight|distance|speed|area|volume|average)\s+of\s+(?=(?:\w+\s+)?[$€£¥]?\d)",
    re.IGNORECASE,
)
_DONE_AT = re.compile(r"[a-z]+(?:ed|en|lt|de)\s+(?:in|on|at|by|for|from|as|to|with)\s+(?=\S)")
_POSTURE = re.compile(
    r"(?:\w+(?:ing|ed)|found|seen|shown|hidden)\s+(?=(?:in|on|at|under|behind|next|near|beside|between|above|below|inside"
    r"|outside|in\s+front|by|against|along|over|across|from)\b)",
    re.IGNORECASE,
)
_MANY = 14  # words of an answer at most
_CLAUSES_TRIED = 24  # clauses of a sentence that are looked at, from the last on
_FEW = 7  # words of an answer behind a subject that the question does not account for in full


def answer_in(sentence: Plain, question: str, alone: bool = False) -> Plain | None:
    """Return the answer that a sentence gives to a question, or None where no one part of it is the answer.

    Args:
        sentence: A sentence, cleaned and without marks.
        question: What was asked.
        alone: Whether the sentence is the whole prediction; then its subject may be a pronoun, or the thing looked at.
    """
    if len(sentence.text) > _LONGEST:
        return None
    plain = without_frame(sentence)
    if is_chinese(plain.text):
        return answer_in_chinese(plain, question, alone)
    quoted = [match for match in _QUOTED.finditer(plain.text) if match[0][1:-1] not in question]
    if len(quoted) == 1 and ASKS_WORDS.search(question):
        group = next(n for n in (1, 2, 3, 4) if quoted[0][n] is not None)
        return plain.part(*quoted[0].span(group))
    if (equation := _EQUATION.fullmatch(plain.text.rstrip(". "))) and not _ASKS_EQUATION.search(question):
        return stripped(plain.part(*equation.span("value")), TRIM)
    if number := figure_in(plain, question) or figure_in(sentence, question):
        return number
    if thing := thing_seen(sentence, question) or maker_named(sentence, question) or reason_given(sentence, question):
        return thing
    if value := value_of(sentence, question):
        return value
    clauses = list(_LAST_CLAUSE.finditer(plain.text))[-_CLAUSES_TRIED:]
    pieces = [plain, *(plain.part(match.end(), len(plain.text)) for match in clauses)]
    asked = content(question)
    for piece in reversed(pieces):
        before = plain.text[: len(plain.text) - len(piece.text)]
        if coverage(asked, piece.text) < coverage(asked, before):
            continue
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
    if ASKS_NUMBER.search(question) and NUMBER.search(plain.text):
        return figure_in(plain, question)
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
    return _around_the_verb(plain, words, given, question, alone)


def _around_the_verb(
    plain: Plain, words: list[re.Match[str]], given: list[bool], question: str, alone: bool
) -> Plain | None:
    """Return what stands behind the verb of a known subject, or before the verb where all behind it is known."""
    asked = content(question)
    repeated = asked | {stem(_bare(word)) for word in question.split()}
    if _ASKS_WHO.search(question):
        if done := _DID_IT.fullmatch(plain.text):
            return plain.part(*done.span("who"))
        if by := _BY.search(plain.text):
            when = _WHEN.search(plain.text, by.end())
            return _rest(plain.part(0, when.start()) if when else plain, by.end(), question)
    if (
        len(words) > 2
        and _bare(words[0][0]) in ("it", "this", "that", "he", "she", "they")
        and stem(_bare(words[1][0])) in asked
        and _bare(words[2][0]) not in _VERBS
    ):
        return _rest(plain, words[2].start(), question)
    if (pronoun := _PRONOUN.match(plain.text)) and (alone or asked & content(plain.text)):
        return _rest(plain, _behind(plain, words, pronoun.end(), repeated), question)
    verbs = [
        place for place, word in enumerate(words) if _bare(word[0]) in _VERBS and not (place and word[0][:1].isupper())
    ]
    for place in verbs or [
        place for place in range(1, len(words)) if given[place] and _is_verb(words[place][0], question)
    ]:
        word = words[place]
        asked = asked - category(question)
        before, after = content(plain.text[: word.start()]), content(plain.text[word.end() :])
        if not all(given[:place]) and (all(given[place:]) or (asked and asked <= after and not asked & before)):
            return _subject(plain, words, place, question)
        shares = bool(asked & content(plain.text[: word.start()]))
        measured = alone and _bare(word[0]) in _INSTRUMENT_VERBS and words[0][0].lower() in ("the", "this", "it")
        if all(given[:place]) or (shares and alone and place) or measured:
            rest = _rest(plain, _behind(plain, words, word.end(), asked), question)
            if rest is not None and (all(given[:place]) or len(rest.text.split()) <= _FEW):
                return rest
            return _NOTHING
        if _bare(word[0]) in _VERBS:
            break  # what follows a further verb is said of something else
    run = next(
        (n for n, known in enumerate(given) if known and words[n][0].lower() not in ("the", "a", "an")), len(words)
    )
    if run and ASKS_SUBJECT.search(question) and run < len(words) and _is_verb(words[run][0], question):
        return _subject(plain, words, run, question)
    return None


def _behind(plain: Plain, words: list[re.Match[str]], start: int, asked: frozenset[str]) -> int:
    """Return where the first word behind a verb stands that does not belong to it."""
    return next(
        (word.start() for word in words if word.start() >= start and not _passed(word[0], asked)), len(plain.text)
    )


def _passed(word: str, asked: frozenset[str]) -> bool:
    """Return whether a word behind the verb still belongs to it: "is *called*", "is *holding*"."""
    bare = _bare(word)
    return bare in _AFTER_VERB or (stem(bare) in asked and not word[:1].isupper())


def _is_verb(word: str, question: str) -> bool:
    """Return whether a word of the sentence is a verb that the question uses: won, shows, opens."""
    bare = _bare(word)
    return bare in _VERBS or (
        bare not in _FRAME_WORDS
        and len(bare) > 3
        and bare.endswith(("s", "ed"))
        and re.search(
            rf"\b(?:does|did|do|who|which\s+\w+|what\s+(?!is\b|are\b|was\b|were\b)\w+)\b.*\b{re.escape(stem(bare))}",
            question,
            re.IGNORECASE,
        )
        is not None
    )


def _rest(plain: Plain, start: int, question: str) -> Plain | None:
    """Return what a sentence says from ``start`` on, where that is one short phrase."""
    rest = plain.part(start, len(plain.text))
    if lead := re.match(
        r"(?:(?:that|those)\s+of\s+|(?:the\s+)?one\s+(?:for|of|in|with)\s+|(?:via|by|out\s+of)\s+|the\s+route\s+via\s+)",
        rest.text,
    ):
        rest = rest.part(lead.end(), len(rest.text))
    if known := done_with(rest.text, question):
        rest = rest.part(known.start("rest"), len(rest.text))
    if (lead := _PREPOSITION.match(rest.text)) and not _ASKS_PLACE.search(question):
        rest = rest.part(lead.end(), len(rest.text))
    if depicted := _DEPICTION.match(rest.text):
        rest = rest.part(depicted.end(), len(rest.text))
    if not _ASKS_PLACE.search(question) and (done := _DONE_AT.match(rest.text)):
        rest = rest.part(done.end(), len(rest.text))
    if about := _ABOUT.match(rest.text):
        rest = rest.part(about.end(), len(rest.text))
    if re.match(r"\W*where\b", question, re.IGNORECASE) and (posture := _POSTURE.match(rest.text)):
        rest = rest.part(posture.end(), len(rest.text))
    if (kind := re.match(r"(?:the\s+)?([A-Za-z]+)\s+(?=\S*\d)", rest.text)) and names_kind(kind[1], question):
        rest = rest.part(kind.end(), len(rest.text))
    if (belongs := _BELONGS.match(rest.text)) and not ASKS_WORDS.search(question):
        rest = rest.part(belongs.end(), len(rest.text))
    if quoted := re.match(r"(?:the\s+\w+\s+)?\"([^\"]{1,100})\"(?=\s|$)", rest.text):
        return rest.part(*quoted.span(1))
    if (other := re.search(r",\s+the\s", rest.text)) and other.start() > 0:
        rest = rest.part(0, other.start())
    if len(SHARE.findall(rest.text)) > 1:
        return None
    if (relative := _RELATIVE.search(rest.text)) and relative.start() > 0:
        rest = rest.part(0, relative.start())
    if (aside := _ASIDE_TAIL.search(rest.text)) and aside.start() > 0:
        rest = rest.part(0, aside.start())
    if (role := _ROLE.search(rest.text)) and role.start() > 0 and stem(role[1]) in content(question):
        rest = rest.part(0, role.start())
    asked = content(question)
    while (tail := _SCENE_TAIL.search(rest.text)) and tail.start() > 0:
        if not content(tail["where"] or tail["language"] or "") <= asked:
            break
        rest = rest.part(0, tail.start())
    rest = stripped(rest, _OUTER)
    if measured := _MEASURED.search(rest.text):
        rest = rest.part(0, measured.start())
    if _ATTRIBUTE.search(question):
        rest = _attribute(rest, asked)
    words = rest.text.split()
    why = re.match(r"\W*why\b", question, re.IGNORECASE)
    if not words or len(words) > _MANY or (_NO_ANSWER.match(rest.text) and not re.search(r"\bmean|\bstand", question)):
        return None
    if not why and any(word.strip(TRIM).lower() in _NO_VERB_IN_ANSWER for word in words):
        return None
    return stripped(rest, TRIM)


def _attribute(plain: Plain, asked: frozenset[str]) -> Plain:
    """Return what stands between the article and the thing asked about: "a *red* car parked outside"."""
    words = list(_WORD.finditer(plain.text))
    first = 1 if words and words[0][0].lower() in ("a", "an", "the") else 0
    noun = next(
        (
            n
            for n, word in enumerate(words)
            if n > first and (stem(_bare(word[0])) in asked or _bare(word[0]) in ("one", "ones"))
        ),
        0,
    )
    if not noun:
        return plain
    kept = plain.part(words[first].start(), words[noun - 1].end())
    plural = len(kept.text.split()) > 1 and not re.search(r"\band\b|,|&", kept.text) and not _SHADE.match(kept.text)
    return _NOTHING if plural else kept


def _subject(plain: Plain, words: list[re.Match[str]], end: int, question: str) -> Plain | None:
    """Return the words before the verb as the answer."""
    modal = end > 1 and _bare(words[end - 1][0]) in ("can", "could", "may", "will", "should", "must")
    subject = stripped(plain.part(0, words[end - modal].start()), TRIM)
    many = len(subject.text.split()) > _FEW or any(word.lower() in _NO_VERB_IN_ANSWER for word in subject.text.split())
    anyone = not content(subject.text) - _ANYONE - {"in", "on"} and not _ASKS_WHO.search(question)
    return None if many or anyone or _SCENE_SUBJECT.fullmatch(subject.text) else subject


def _is_given(word: str, asked: frozenset[str], question: str, first: bool) -> bool:
    """Return whether the question or a sentence's frame accounts for a word; a name ("United States") is its own."""
    bare = _bare(word)
    if not bare or stem(bare) in asked or bare in {_bare(asked_word) for asked_word in question.split()}:
        return True
    return bare in _FRAME_WORDS and (first or not word.lstrip(TRIM + "([")[:1].isupper())


def _bare(word: str) -> str:
    return word.strip(TRIM + "()[]*?").lower().removesuffix("'s")
