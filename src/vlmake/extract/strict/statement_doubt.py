"""Whether a statement that names what a yes-or-no question asks for says it of something else."""

import re

from vlmake.extract.strict.figures import YEAR
from vlmake.extract.strict.overlap import content, stem
from vlmake.extract.strict.statement_asked import OPPOSITES, Asked
from vlmake.extract.strict.statement_things import GOES_ON, KINDS_OF_PEOPLE, thing_asked

_RELATION = re.compile(
    r"\b(?P<relation>next\s+to|near|behind|beside|opposite|in\s+front\s+of|close\s+to|looking\s+for|searching\s+for|points?\s+to"
    r"|for|than|towards?)\s+(?:an?\s+|the\s+|his\s+|her\s+|its\s+|their\s+)?(?P<words>[A-Za-z]+(?:\s+[A-Za-z]+)?)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+")
_IS_SO = re.compile(r"\W*(?:is|are|was|were)\s[^,?]*?\b(?P<last>[a-z]+)\W*$", re.IGNORECASE)
_UNSURE = re.compile(
    r"\b(?:possibly|perhaps|maybe|usually|normally|presumably|allowed|about\s+to|recently)\b|可能|也许|通常",
    re.IGNORECASE,
)
_SAID_THERE = re.compile(
    r"\b(?:sign|poster|label|caption|text|headline|banner|notice)s?\s+(?:\w+\s+){0,2}?(?:says?|reads?|warns?|states?|asks?)\b"
    r"|\b(?:says?|reads?|according\s+to)\s+(?:the|a)\s+(?:sign|poster|label|banner|notice)\b|写着",
    re.IGNORECASE,
)
_ASKS_SIGN = re.compile(
    r"\b(?:sign|poster|label|caption|text|headline|banner|notice|word|words|say|says|read|reads|written)\b|写|牌|字",
    re.IGNORECASE,
)
_NUMBERS = frozenset(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
_PAIR = re.compile(r"(?=\b([a-z]+)\s+([a-z]+)\b)", re.IGNORECASE)
_PLACE_ZH = re.compile(r"在(?P<place>[\u4e00-\u9fff]{1,6}?)[上里下中旁]")
_ASKED_PLACE_ZH = re.compile(r"(?P<place>[\u4e00-\u9fff]{1,4})[上里下中旁]边?(?:是否)?有")
_BESIDE_ZH = re.compile("旁边?的|旁边?是|附近|边上")


def misread(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence can well say what is asked of another thing, or not say that it is so."""
    if _UNSURE.search(sentence) and not _UNSURE.search(asked.question):
        return True
    if _SAID_THERE.search(sentence) and not _ASKS_SIGN.search(asked.question):
        return True
    years = set(YEAR.findall(sentence))
    if years and (wanted := set(YEAR.findall(asked.question))) and not years & wanted:
        return True
    if not asked.core.isascii():
        return _BESIDE_ZH.search(sentence) is not None and not _BESIDE_ZH.search(asked.question)
    return _owned(sentence, asked)


def affirms_another(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence without negation can well affirm what is asked of another thing."""
    if not asked.core.isascii():
        return _another_in_chinese(sentence, asked)
    return (
        _moved(sentence, asked)
        or _elsewhere(sentence, asked)
        or _of_others(sentence, asked)
        or _qualifies_another(sentence, asked)
    )


def _another_in_chinese(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence names another place, other people, or says the contrary of the subject."""
    if any(one in asked.core and other not in asked.core and other in sentence for one, other in ("男女", "女男")):
        return True
    said, wanted = _PLACE_ZH.search(sentence), _ASKED_PLACE_ZH.match(asked.core)
    if said and wanted and not set(said["place"]) & set(wanted["place"]):
        return True
    about = next((clause for clause in re.split("[,;。]", sentence) if asked.subject <= set(clause)), "")
    return any(
        word not in about and other in about
        for word in asked.words - asked.subject
        for other in OPPOSITES.get(word, ())
    )


def _moved(sentence: str, asked: Asked) -> bool:
    """Return whether the quality of one noun of the question is another's: "a blue dress and a red bag"."""
    for quality, noun in _PAIR.findall(asked.core):
        if stem(quality) not in OPPOSITES or quality in _NUMBERS or noun in GOES_ON or stem(noun) not in asked.words:
            continue
        behind = re.findall(rf"\b{re.escape(quality)}\s+([a-z]+)\b", sentence, re.IGNORECASE)
        if any(stem(word) != stem(noun) and word.lower() not in GOES_ON for word in behind) and not re.search(
            rf"\b{re.escape(quality)}\s+(?:\w+\s+)?{re.escape(noun)}", sentence, re.IGNORECASE
        ):
            return True
    return False


def _qualifies_another(sentence: str, asked: Asked) -> bool:
    """Return whether the quality asked for only qualifies a further noun: "has red lights", "near a red wall"."""
    last = _IS_SO.match(asked.core)
    if not last or not asked.subject or thing_asked(asked.core):
        return False
    quality = last["last"]
    for match in re.finditer(rf"\b{re.escape(quality)}\s+(?P<noun>[a-z]+)\b", sentence, re.IGNORECASE):
        noun = match["noun"].lower()
        if noun in GOES_ON or noun.endswith(("ing", "ly", "ed")) or stem(noun) in asked.words:
            continue
        if not re.search(r"\b(?:is|are|was|were)\s+(?:an?\s+|the\s+)?(?:\w+\s+)?$", sentence[: match.start()], re.I):
            return True
    return False


def _owned(sentence: str, asked: Asked) -> bool:
    """Return whether a sentence speaks of what belongs to the subject: "the car's interior"."""
    owners = {
        stem(word)
        for word in re.findall(r"(?<![A-Za-z])([A-Za-z]++)'s\s+(?!(?:a|an|the|not|no|\w+ing)\b)[a-z]", sentence)
    }
    return bool(owners & asked.words) and "'s" not in asked.core


def _elsewhere(sentence: str, asked: Asked) -> bool:
    """Return whether a word of the question stands behind a relation that the question does not have."""
    for match in _RELATION.finditer(sentence):
        relation = " ".join(match["relation"].lower().split())
        if content(match["words"]) & asked.words and relation not in asked.question.lower():
            return True
    return False


def _of_others(sentence: str, asked: Asked) -> bool:
    """Return whether other people than those asked about stand between the words of the question."""
    if not asked.words & KINDS_OF_PEOPLE:
        return False
    stems = [stem(word[0]) for word in _WORD.finditer(sentence)]
    places = [n for n, word in enumerate(stems) if word in asked.words]
    between = stems[places[0] : places[-1]] if places else []
    return any(word in KINDS_OF_PEOPLE and word not in asked.words for word in between)
