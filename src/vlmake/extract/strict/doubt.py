"""Whether an option that a text names without declaring it stands where it is no answer.

"The animal is bigger than a dog", "next to the dog's bowl", "the car on the right is red" where the left one is asked
for: the option is named, and something else is said of it.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.discourse import sentences
from vlmake.extract.strict.letters import letters_outside
from vlmake.extract.strict.options import options_in
from vlmake.extract.strict.overlap import content, stem
from vlmake.extract.strict.sentences import is_negated
from vlmake.extract.strict.statement_asked import OPPOSITES
from vlmake.extract.strict.statement_things import GOES_ON, KINDS_OF_PEOPLE, PEOPLE
from vlmake.extract.strict.withheld import is_denied

_NOUN_PHRASE = r"\s+(?:that\s+of\s+)?(?:(?:an?|the|any|his|her|its|their|this)\s+)?(?:[\w-]+\s+)?[\"'(]?$"
_ALIKE = re.compile(  # what is compared with an option is another thing
    r"(?:\b(?:(?<!other )than|(?<!look )(?<!looks )(?<!looked )(?<!seems )(?<!appears )(?<!something )"
    r"(?<!is )(?<!sounds )like"
    r"|resembl\w+|similar\s+to|close\s+to|sizes?\s+of|relatives?\s+of|mistaken\s+for|(?:different|differs?)\s+from"
    r"|compared\s+(?:to|with)|related\s+to|inspired\s+by|e\.g\.,?|family\s+of))" + _NOUN_PHRASE,
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"\b(?P<relation>next\s+to|near|behind|beside|(?:north|south|east|west|left|right|front|owner)\s+of|opposite|under"
    rf"|above|below|towards){_NOUN_PHRASE}"
    r"|^\W*(?P<there>behind|beside|next\s+to|near|in\s+front\s+of)\s+(?:it|him|her|them)\s+[^,]{2,20}$",
    re.IGNORECASE,
)
_ASKS_PLACE = re.compile(r"\bwhere\b|\blocat|\bposition", re.IGNORECASE)
_ALIKE_ZH = re.compile(r"(?:比|像|和|与|跟)$")
_DEGREE_ZH = re.compile(r"(?:还|要|更|很|非常|十分|差不多|类似|相似|一样|相近|[大小高低长短重轻])")
_SHAPE_ZH = re.compile(r"(?:形状?的|样子的|手机|图案)")
_OWNS = re.compile(r"'s?\s+(?P<owned>[a-z]+)|s'\s+(?P<several>[a-z]+)")
_ATTRIBUTE = re.compile(
    r"\b(?:has|have|with|wear\w*|hold\w*|under|near|next\s+to|behind|beside|at|by|on|in|belongs?\s+to)\s+(?:an?|the|his|her|its)\s+"
    r"(?:[\w-]+\s+)?$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\s+(?:would|could|might)\b(?!\s+(?:\w+\s+)?(?:be|fit|seem)\s+(?:the|my|a|an)?\s*(?:best|correct|right|answer|most))",
    re.IGNORECASE,
)
_OR_ELSE = re.compile(r"\s+or\s+(?:an?\s+|the\s+|some)(?!\w*\s*(?:is|are)\b)\w|,?也可能", re.IGNORECASE)
_NO_COUNT = re.compile(
    r"\b(?:more\s+than|less\s+than|fewer\s+than|over|at\s+least|at\s+most|up\s+to|figure|fig\.?|step|panel|line|row|page)"
    r"\s*$|(?:超过|不到|至少|至多)$",
    re.IGNORECASE,
)
_ASKS_COUNT = re.compile(
    r"\bhow\s+many\s+(?:\w+\s+){0,2}?(?P<thing>[a-z]+)(?=\s+(?:is|are|were|was|can|do|does|did|in|on|at|have|has)\b)",
    re.I,
)
_LAST_NOUN = re.compile(r"(?P<noun>[A-Za-z]+)\s+(?:(?:who|that)\s+)?(?:(?:is|are)\s+)?(?:the\s+|an?\s+)?$")
_FIRST_NOUN = re.compile(r"\W*(?:the|an?)\s+(?P<noun>[a-z]+)\b", re.IGNORECASE)
_NO_LONGER = re.compile(
    r"(?:^\W*(?:after|before|without|despite)|\b(?:stopp?ed|finished|instead\s+of))\s+$", re.IGNORECASE
)
_CLAUSE_END = re.compile(r"[,;]\s*|\s(?:while|whereas|but)\s|。")
_JOINED_COUNT = re.compile(r"\s+(?:and|or|in|on|at|of|with|is|are)\s|[,;.]")
_NEXT_WORD = re.compile(r"\s+(?P<word>[a-z]+)")
_ARTICLE = re.compile(r"\W*(?:an?|the)?\W*", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not(?!\s+only)|never|no\s+longer|cannot)\b|n't\b", re.IGNORECASE)
_OPERATOR_BEHIND = re.compile(r"\s*[-+×*/÷]\s*\d")
_OPERATOR_BEFORE = re.compile(r"[\d)]\s*[-+×*/÷]\s*$")
_UNKNOWN = re.compile(r"(?<![A-Za-z\d])([a-z])\s*=\s*$")
_ASKS_UNKNOWN = re.compile(r"\b(?:value\s+of|solve\s+for|find)\s+([a-z])\b|([a-z])\s*的值")
_MOST_ZH = re.compile(r"最[\u4e00-\u9fff]")
_BESIDE_ZH = re.compile(r"(?:旁边|附近)(?:有人|的)")
_VERDICTS = frozenset(("yes", "no"))
CHECKED = frozenset(("concluded", "emphasised", "mentioned_text", "restated", "last_sentence", "main_clause", "number"))
"""Rules whose place in the text is looked at."""


def doubted(plain: Plain, answer: Extraction, options: Mapping[str, str], question: str | None) -> bool:
    """Return whether the place at which a weak layer found an option speaks against it.

    Args:
        plain: The text that was read.
        answer: What was found, with its place in the prediction.
        options: Letter → text.
        question: What was asked.
    """
    if answer.start is None or answer.end is None:
        return False
    start, end = bisect_left(plain.places, answer.start), bisect_left(plain.places, answer.end)
    text = plain.text
    if end - start < 2 and not text[start:end].isdigit():
        return False
    if text[start:end].lower() in _VERDICTS or _has_letter(text, str(answer.answer), options):
        return False
    first, last = next((span for span in sentences(text) if span[0] <= start < span[1]), (0, len(text)))
    before, behind = text[first:start], text[end:last]
    asked = content(question or "")
    return (
        (is_denied(text, start, end) and not is_negated(question))
        or _of_another(before, behind, question or "")
        or _of_other_people(before, asked)
        or _attributive(before, behind, asked)
        or _SUPPOSED.match(behind) is not None
        or (_NOT.search(_CLAUSE_END.split(before)[-1]) is not None and not is_negated(question))
        or _calculated(before, behind, question or "")
        or _contrary_in_chinese(clause_around(before, text[start:end], behind), question or "")
        or _OR_ELSE.match(behind) is not None
        or miscounted(before, behind, question or "")
        or opposed(clause_around(before, text[start:end], behind), asked, _own(tuple(options.values())))
        or (answer.rule == "last_sentence" and _cut_or_beside(plain, first, start, end, options, asked))
    )


@lru_cache(maxsize=4096)
def _own(options: tuple[str, ...]) -> frozenset[str]:
    """Return the words of all options."""
    return frozenset().union(*map(content, options))


def _of_another(before: str, behind: str, question: str) -> bool:
    """Return whether an option stands for what something else is compared with or placed by."""
    if (alike := _ALIKE.search(before)) and alike[0].split()[0].lower() not in question.lower():
        return True
    if (_ALIKE_ZH.search(before) and _DEGREE_ZH.match(behind)) or _SHAPE_ZH.match(behind):
        return True
    placed = _PLACED.search(before)
    return (
        placed is not None
        and " ".join((placed["relation"] or placed["there"]).lower().split()) not in question.lower()
        and not _ASKS_PLACE.search(question)
    )


def _has_letter(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether a text also names the option by its letter, and no other option so."""
    return {mention.letters for mention in letters_outside(text, options) if not mention.rejected} == {letter}


def _of_other_people(before: str, asked: frozenset[str]) -> bool:
    """Return whether an option is said of people that are not asked about: "The man passes a child reading a book"."""
    if _NO_LONGER.search(before):
        return True
    if asked & PEOPLE or not asked & KINDS_OF_PEOPLE:
        return False
    last, first = _LAST_NOUN.search(before), _FIRST_NOUN.match(before)
    nouns = {stem(match["noun"]) for match in (last, first) if match}
    return bool(nouns & KINDS_OF_PEOPLE - asked) and (last is not None or not asked & content(before))


def clause_around(before: str, option: str, behind: str) -> str:
    """Return the clause around an option."""
    return _CLAUSE_END.split(before)[-1] + option + _CLAUSE_END.split(behind)[0]


def _attributive(before: str, behind: str, asked: frozenset[str]) -> bool:
    """Return whether an option only qualifies a further noun: "the dog's leash", "has a red stripe"."""
    if owns := _OWNS.match(behind):
        owned = owns["owned"] or owns["several"]
        return owned not in GOES_ON and stem(owned) not in asked
    noun = _NEXT_WORD.match(behind)
    if not noun or noun["word"] in GOES_ON or noun["word"].endswith(("ing", "ed", "ly")):
        return noun is not None and noun["word"] == "family"
    return stem(noun["word"]) not in asked and _ATTRIBUTE.search(before) is not None


def miscounted(before: str, behind: str, question: str) -> bool:
    """Return whether a number is a bound or a label, or counts other things than those asked for."""
    if not before and not behind:
        return False
    if _NO_COUNT.search(before):
        return True
    counted, noun = _ASKS_COUNT.search(question), _NEXT_WORD.match(behind)
    if not counted or not noun or noun["word"] in GOES_ON:
        return False
    thing = stem(counted["thing"])
    return thing not in content(_JOINED_COUNT.split(behind)[0])


def _calculated(before: str, behind: str, question: str) -> bool:
    """Return whether a number is an operand, or the value of another unknown than the one asked for."""
    if _OPERATOR_BEHIND.match(behind) or _OPERATOR_BEFORE.search(before):
        return True
    unknown, asked = _UNKNOWN.search(before), _ASKS_UNKNOWN.search(question)
    return unknown is not None and asked is not None and unknown[1] != asked[1]


def _contrary_in_chinese(sentence: str, question: str) -> bool:
    """Return whether a sentence says 最少 where 最多 is asked for, or speaks of what stands beside."""
    asked, said = _MOST_ZH.findall(question), _MOST_ZH.findall(sentence)
    if asked and said and not set(asked) & set(said):
        return True
    return _BESIDE_ZH.search(sentence) is not None and not _BESIDE_ZH.search(question)


def opposed(sentence: str, asked: frozenset[str], own: frozenset[str]) -> bool:
    """Return whether a sentence names the contrary of what the question names, and not what it names: right, left."""
    said = content(sentence) - own
    return any(
        word not in said
        and word not in own
        and not (said & asked) & OPPOSITES.get(word, frozenset())
        and said & OPPOSITES.get(word, frozenset())
        for word in asked
    )


def _cut_or_beside(
    plain: Plain, first: int, start: int, end: int, options: Mapping[str, str], asked: frozenset[str]
) -> bool:
    """Return whether a last sentence is but the start of one about its option, or tells something else of it."""
    if not _ARTICLE.fullmatch(plain.text, first, start):
        return False
    behind = plain.text[end:]
    if not behind.strip() and "\n" not in plain.text[:first].rstrip(" ")[-1:]:
        return bool(options_in(plain.text[:first], options))
    told = content(behind) if _NEXT_WORD.match(behind) else frozenset()
    return bool(told) and not told & asked
