"""What one clause says of what is asked: that a thing is there, that it is so, that it is not, or the contrary."""

import re

from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.polar import RELATED, THAN, placed_elsewhere, swapped
from vlmake.extract.strict.statement_asked import OPPOSITES, ROOMS, Asked, place_in
from vlmake.extract.strict.statement_things import KINDS_OF_PEOPLE, PEOPLE, presence, thing_asked

NEGATION = re.compile(
    r"(?<!\w)(?:not(?!\s+only)|never|nobody|nothing|nowhere|none|neither|nor|without(?!\s+(?:a\s+)?doubt)|no\s+longer|zero|free\s+of|devoid\s+of|no(?!\s+(?:doubt"
    r"|problem|longer\s+than))|lacks?|absent|missing|cannot|rather\s+than|instead\s+of|far\s+from|fails?\s+to"
    r"|hardly|barely)(?!\w)|n't(?!\w)"
    r"|没有|没(?!问题|错)|(?<!要)不(?![仅过少断错同只但久料止])|并?未(?!来)|(?<![有虽])无(?!论|疑|线)|并非|禁止|严禁",
    re.IGNORECASE,
)
_EXISTS = re.compile(
    r"\W*(?:is|are|was|were)\s+there\b|\W*(?:can|do)\s+you\s+see\b|\W*(?:does|do)\b[^?]*\bhave\b", re.IGNORECASE
)
_ABOUT_A_NOUN = re.compile(r"without|no|nothing|none|lacks?|rather\s+than|instead\s+of", re.IGNORECASE)
_ALONE = (
    r"\W*(?:there\s+(?:is|are)|there's|I\s+(?:can\s+)?see)\s+"
    r"(?:an?|one|some|several|two)\s+(?:[\w-]+\s+)?{thing}\w{{0,3}}\W*"
)
_ROOM = re.compile(
    rf"\b(?:in|inside)\s+(?:the|an?|this|another)\s+(?P<room>(?:[\w-]+\s+)?(?:{ROOMS}))\b", re.IGNORECASE
)
ASKS_ON_OFF = re.compile(r"\b(on|off)\s*[?]?\s*$", re.IGNORECASE)
_ON_OFF = re.compile(
    r"(?:\b(?:turned|switched|powered|is|are)|'s|'re)\s+(?:currently\s+)?(on|off)\b(?=\s*(?:[.,;?]|$|and\b|but\b))",
    re.IGNORECASE,
)
_SAME = re.compile(
    r"\b(?:is|are|'re|have|has)\s+(?:exactly\s+|of\s+)?(?:the\s+same|equal|identical)\b|一样|相同|相等", re.IGNORECASE
)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|had|can|does|do|did|\w+s|\w+ed)\b", re.IGNORECASE)
_OWN_PLACE_ZH = re.compile(r"[上里中下边旁前后内外面处](?:还|也|只|都)?有")
_OWN_SUBJECT = re.compile(
    r"\W*(?:the|a|an|his|her|their|its|another|one)\s+((?:[\w-]+\s+){1,3}?)(?:is|are|was|were|has|have|can)\b", re.I
)
_FEW = 5  # words of a denial that need not say where
_ABOUT = 0.6  # share of the question in a denial that need not name its subject
AFFIRMS, DENIES, ALL = 0.75, 0.5, 0.99
"""Shares of the question's words that a clause names at least: to affirm with four words or more, to deny, else."""


def there(units: list[str], asked: Asked, least: float) -> str | None:
    """Return whether the clause that names most of what is asked says that the thing is where it is asked for."""
    thing = thing_asked(asked.core)
    if not thing:
        return None
    people = asked.words & PEOPLE
    shares = [len(asked.words & _with_people(unit, people)) / len(asked.words) for unit in units]
    best = max(shares)
    named = [unit for unit, share in zip(units, shares, strict=True) if share == best and presence(unit, thing)]
    said = {presence(unit, thing) for unit in named}
    if len(said) != 1:
        return None
    unit = min(named, key=len)
    opposed = asked.words - content(unit) and all(
        OPPOSITES.get(word, frozenset()) & content(unit) for word in asked.words - content(unit)
    )
    if opposed and placed_elsewhere(unit, asked.question) and re.match(r"\W*the\b", unit, re.IGNORECASE):
        return "No"
    if said == {"No"}:
        return "No" if best >= least or len(unit.split()) <= _FEW else None
    alone = any(re.fullmatch(_ALONE.format(thing=re.escape(thing.name)), clause, re.IGNORECASE) for clause in units)
    if asked.room and (room := _ROOM.search(unit)) and room["room"].lower() not in asked.core.lower():
        return None
    loose = asked.loose if not _ROOM.search(unit) and not _OWN_PLACE_ZH.search(unit) else frozenset()
    placed = asked.words - _with_people(unit, people) - {"in", "insid", "on", "at"} <= loose or alone
    return "Yes" if placed and not placed_elsewhere(unit, asked.question) else None


def _with_people(clause: str, people: frozenset[str]) -> frozenset[str]:
    """Return what a clause names; a woman or a child is a person, where the question asks for one."""
    named = content(clause)
    return named | people if people and named & KINDS_OF_PEOPLE else named


def denied(unit: str, units: list[str], asked: Asked, share: float, known: frozenset[str]) -> str | None:
    """Return No where the one negation of a clause denies what is asked."""
    named = content(unit) | known
    if asked.subject - named and any(named & OPPOSITES.get(word, frozenset()) for word in asked.subject):
        return None  # the woman, not the man
    told = asked.words - asked.subject
    if asked.core.isascii() and told and not told & named and not _EXISTS.match(asked.core):
        return None  # "17 has no divisors" is not about being prime
    denying = next((clause for clause in units[1:] if NEGATION.search(clause)), unit)
    affirming = [
        clause
        for clause in units[1:]
        if clause != denying and re.match(r"\W*(?:so\s+|thus\s+)?(?:it|they|he|she)\b", clause)
    ]
    if told and not told & content(denying) and any(told & content(clause) for clause in affirming):
        return None  # "has no divisors, so it is prime"
    about = asked.subject & named or share >= _ABOUT or not asked.subject or not asked.core.isascii()
    return "No" if about else None


def affirmed(
    sentence: str, unit: str, units: list[str], asked: Asked, share: float, known: frozenset[str]
) -> str | None:
    """Return Yes where a clause without negation names what is asked, No where it names the contrary."""
    if swapped(sentence, asked.core) or not _begins_alike(sentence, asked):
        return None
    if switched := _switched(sentence, asked.core):
        return switched
    if ASKS_ON_OFF.search(asked.core) and not _ON_OFF.search(sentence):
        return None
    if THAN.search(asked.core) and _SAME.search(sentence):
        return "No"
    elsewhere = placed_elsewhere(sentence, asked.question)
    named = content(unit) | known
    if unit == units[0] and (clause := _own_clause(units[1:], asked)):
        named = content(clause) | known
        unit = clause
    missing = asked.words - named
    opposed = {word for word in missing if any(other in named for other in OPPOSITES.get(word, ()))}
    if opposed & asked.subject:
        return None  # the woman, not the man
    if opposed and missing - opposed <= asked.loose and (elsewhere or not RELATED.search(asked.core)):
        return "No"
    if elsewhere or _turns_to_another(sentence, asked):
        return None
    if any(other in named for word in missing for other in OPPOSITES.get(word, ())):
        return None
    if not asked.core.isascii():
        repeats = any(
            asked.core[n : n + 2] in sentence for n in range(len(asked.core) - 1) if asked.core[n : n + 2].strip()
        )
        return "Yes" if repeats and share >= (AFFIRMS if len(asked.words) >= 4 else ALL) else None
    if asked.modifier and re.search(
        rf"(?:^\W*|\b(?:the|this|that|both|its)\s+){asked.modifier[1]}", unit, re.IGNORECASE
    ):
        missing -= {asked.modifier[0]}
    return "Yes" if missing <= asked.loose and len(missing) < len(asked.words) / 2 else None


def _begins_alike(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence that says left or above names first what the question does: "A is left of B"."""
    if not RELATED.search(asked.core) and not re.search("[左右上下前后]", asked.core):
        return True
    both = [
        word
        for word in asked.words & content(sentence)
        if (word not in OPPOSITES and len(word) > 2) or not word.isascii()
    ]
    if len(both) < 2:
        return True
    return min(both, key=lambda word: place_in(word, sentence)) == min(
        both, key=lambda word: place_in(word, asked.core)
    )


def _switched(sentence: str, core: str) -> str | None:
    """Return No where the question asks for on and the sentence says off, or the other way round."""
    asked, said = ASKS_ON_OFF.search(core), _ON_OFF.search(sentence)
    return "No" if asked and said and asked[1].lower() != said[1].lower() else None


def _turns_to_another(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence goes on with "but" to the contrary: "green for pedestrians but red for cars"."""
    turn = re.search(r"\b(?:but|while|whereas)\b|但|而", sentence)
    after = content(sentence[turn.end() :]) if turn else frozenset()
    return any(other in after for word in asked.words - asked.subject for other in OPPOSITES.get(word, ()))


def _own_clause(clauses: list[str], asked: Asked) -> str | None:
    """Return the clause about what is asked where another one with a subject of its own says the rest.

    "The taxi is yellow and the bus is white" says that the bus is white, though it names the bus and yellow.
    """
    about = next((clause for clause in clauses if asked.subject & content(clause)), None)
    if about is None or not asked.subject or not _VERB.search(about):
        return None
    missing = asked.words - content(about)
    rest = [clause for clause in clauses if clause is not about and missing & content(clause)]
    others = [match for clause in rest if (match := _OWN_SUBJECT.match(clause)) and not content(match[1]) & asked.words]
    return about if others else None


def in_scope(unit: str, asked: Asked) -> list[str]:
    """Return the negations of a clause, without those that speak of something else: "wears a hat without a brim"."""
    neither = re.search(r"\bneither\b", unit, re.IGNORECASE) is not None
    return [
        match[0]
        for match in NEGATION.finditer(unit)
        if not (match[0] in ("禁止", "严禁") and match[0] in asked.core)
        and not (neither and match[0].lower() == "nor")
        and not (
            _ABOUT_A_NOUN.fullmatch(match[0])
            and not asked.words & content(" ".join(unit[match.end() :].split()[:4]))
            and asked.words & content(unit[: match.start()])
        )
    ]
