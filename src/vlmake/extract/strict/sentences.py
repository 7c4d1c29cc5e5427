"""Which option a text of several sentences settles on: the one of its conclusion, or of the sentence that answers."""

import re
from collections.abc import Mapping
from functools import lru_cache

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, breaks_off, sentences
from vlmake.extract.strict.letters import letters_outside
from vlmake.extract.strict.options import Mention, are_letters, option_core, option_named_by, options_in
from vlmake.extract.strict.overlap import content, coverage
from vlmake.extract.strict.verdicts import LABELLED_LINE

_LABELLED_END = re.compile(r"^[^:]{1,32}:\s*(?P<said>[^:\n]{1,60}?)[.。!]?\s*$")  # "Next: 32."
_IDENTIFIES = re.compile(  # "This is typical of", "All of this points to"
    r"\b(?:this|that|these|it|all\s+(?:of\s+)?this)\b[^.]{0,40}?\b(?:typical|characteristic|consistent\s+with"
    r"|indicat\w+|points?\s+to|identif\w+|correspond\w*)\b",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"\b(?:an?|the)\s+", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t]*(?:[-|]|\d+[.)])[ \t]*[^\n]*", re.MULTILINE)
SUBORDINATE = re.compile(
    r"^\W*(?:although|though|while|whereas|since|as|because|if|unlike|even\s+though|compared\s+(?:to|with)|虽然"
    r"|尽管|因为|由于|如果)[^,]{3,200}?,\s*",
    re.IGNORECASE,
)
_NEGATED_QUESTION = re.compile(
    r"\bnot\b|n't\b|\bexcept\b|\bfalse\b|\bincorrect\b|\bleast\b|\bnever\b|不|错误|除了|没有|哪项错", re.IGNORECASE
)
_NEGATED = re.compile(
    r"\bnot\b|n't\b|\b(?:hardly|scarcely|doubt|unlikely|impossible|never|far\s+from|if|unless)\b|\bno\b"
    r"|\bneither\b|不|没|\bor\b|\beither\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?")
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "billion": 1e9, "万": 1e4, "亿": 1e8}
_SCALE = re.compile(r"\s*(thousand|million|billion|k\b|万|亿)", re.IGNORECASE)
_TRIES = 12  # conclusions that are looked at, from the last on
_CLAUSE = 600  # characters in which a conclusion says what it concludes
_UNFINISHED = re.compile(r"[-+×*/=(,]\s*$")
_BY_CHANCE = 3  # characters of an option that a text may hold without meaning it
_LEAST = 0.5  # share of the question that a sentence must name to count as its answer


def in_a_sentence(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option of the conclusion, else of the sentence that restates the question, else of the last one."""
    text = plain.text
    if is_negated(question) and any(mention.rejected for mention in letters_outside(text, options)):
        return None
    spans = sentences(text)
    equals = text.rfind("=")
    if (
        equals > 0
        and spans
        and equals > spans[-1][0]
        and (mention := _only_option(text, equals + 1, len(text), options))
    ):
        return _extraction(plain, mention, "concluded")
    if len(spans) < 2 and not CONCLUDES.search(text):
        return None
    if concluded := _concluded(plain, options):
        return concluded
    if breaks_off(text) or HEDGE.search(text[spans[-1][0] :]):
        return None
    spans = _behind_the_list(text, spans, options)
    said = [(start, end, mention) for start, end in spans if (mention := _only_option(text, start, end, options))]
    if not said:
        return None
    last = said[-1][2] if said[-1][0] == spans[-1][0] else None
    labelled = _LABELLED_END.match(text[slice(*spans[-1])])
    if labelled and (named := option_named_by(labelled["said"], options)):
        start, end = labelled.span("said")
        return found(named, "last_sentence", plain, spans[-1][0] + start, spans[-1][0] + end)
    if last and _IDENTIFIES.search(text, *spans[-1]):
        return _extraction(plain, last, "last_sentence")
    if last and all(mention.letter == last.letter for _, _, mention in said):
        return _extraction(plain, last, "last_sentence")
    asked = _asked(question, options)
    scored = [(coverage(asked, text[start:end]), mention) for start, end, mention in said]
    best = max(score for score, _ in scored)
    if best >= _LEAST:
        letters = {mention.letter for score, mention in scored if score == best}
        restated = next(mention for score, mention in scored if score == best)
        return _extraction(plain, restated, "restated") if len(letters) == 1 else None
    first = said[0][2] if said[0][0] == spans[0][0] else None
    if last and (not first or first.letter == last.letter):
        return _extraction(plain, last, "last_sentence")
    return None


def is_negated(question: str | None) -> bool:
    """Return whether a question asks for what is not so: there a rejected option may be the right one."""
    return _NEGATED_QUESTION.search(question or "") is not None


def _asked(question: str | None, options: Mapping[str, str]) -> frozenset[str]:
    """Return what the question's last sentence asks for, without the words of options."""
    text = (question or "").strip()
    spans = sentences(text)
    return content(text[slice(*spans[-1])] if spans else "") - {
        word for option in options.values() for word in content(option)
    }


def _behind_the_list(text: str, spans: list[tuple[int, int]], options: Mapping[str, str]) -> list[tuple[int, int]]:
    """Return the sentences behind a list that weighs the options one by one; all of them where there is none."""
    ends = [line.end() for line in LABELLED_LINE.finditer(text) if line["letter"] in options]
    items = [line.end() for line in _ITEM.finditer(text) if options_in(line[0], options, rejected=True)]
    listed = max([*(ends if len(ends) > 1 else []), *(items if len(items) > 1 else [])], default=0)
    return [span for span in spans if span[0] >= listed]


def _concluded(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the one option in what follows the last "so", "→" or 所以 that names any."""
    text = plain.text
    bounds = sentences(text)
    for match in list(CONCLUDES.finditer(text))[: -_TRIES - 1 : -1]:
        end = next((end for start, end in bounds if end > match.end()), len(text))
        end = min(end, match.end() + _CLAUSE)
        if HEDGE.search(text, match.end(), end):
            return None
        if mention := _only_option(text, match.end(), end, options):
            later = [other for span in bounds if span[0] >= end and (other := _only_option(text, *span, options))]
            if any(other.letter != mention.letter for other in later):
                return unresolved("several_options")
            if _UNFINISHED.search(text) and mention.end - mention.start < _BY_CHANCE:
                return unresolved("truncated")
            return _extraction(plain, mention, "concluded")
        if _named(text[match.end() : end], options):
            return None
        if letter := _said_in_words(text[match.end() : end], options):
            return found(letter, "concluded", plain, match.end(), end)
    return None


def _said_in_words(clause: str, options: Mapping[str, str]) -> str | None:
    """Return the one option that a clause says but for articles ("a decrease, then an increase"), or in its words."""
    if _NEGATED.search(clause) or options_in(clause, options, rejected=True):
        return None
    said = _ARTICLES.sub("", clause.lower())
    cores = {letter: _ARTICLES.sub("", option_core(option)) for letter, option in options.items()}
    whole = [letter for letter, core in cores.items() if " " in core and core in said]
    if whole:
        return whole[0] if len(whole) == 1 else None
    words = content(clause)
    every = [letter for letter, option in options.items() if len(content(option)) > 1 and content(option) <= words]
    return every[0] if len(every) == 1 else None


def _only_option(text: str, start: int, end: int, options: Mapping[str, str]) -> Mention | None:
    """Return the one option that a sentence names and does not reject, by letter or by text."""
    begin = SUBORDINATE.match(text[start:end])
    start += begin.end() if begin else 0
    mentions = _named(text[start:end], options)
    if len({mention.letter for mention in mentions}) != 1:
        return None
    first = mentions[0]
    return Mention(first.letter, first.start + start, first.end + start)


def _named(sentence: str, options: Mapping[str, str]) -> list[Mention]:
    mentions = options_in(sentence, options)
    if not are_letters(options):
        for named in letters_outside(sentence, options):
            if not named.rejected:
                mentions += [Mention(letter, named.start, named.end) for letter in named.letters]
    return mentions


def _extraction(plain: Plain, mention: Mention, rule: str) -> Extraction:
    return found(mention.letter, rule, plain, mention.start, mention.end)


def only_number(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option with the value of the text's only number, where every option is one number."""
    values = {letter: _value(option) for letter, option in options.items()}
    numbers = list(_NUMBER.finditer(plain.text))
    if not numbers or len(numbers) > 3 or None in values.values() or len(set(values.values())) < len(values):
        return None
    said = {_scaled(plain.text, match) for match in numbers}
    if len(said) != 1:
        return None
    value = said.pop()
    return next(
        (found(letter, "number", plain, *numbers[0].span()) for letter, other in values.items() if other == value), None
    )


@lru_cache(maxsize=65536)
def _value(option: str) -> float | None:
    text = option_core(option)
    numbers = list(_NUMBER.finditer(text))
    return _scaled(text, numbers[0]) if len(numbers) == 1 else None


def _scaled(text: str, match: re.Match[str]) -> float:
    scale = _SCALE.match(text, match.end())
    return float(match[0].replace(",", "")) * (_SCALES[scale[1].lower()] if scale else 1)
