"""The strict reading of an answer to a multiple-choice question, English or Chinese."""

import re
from collections.abc import Iterator, Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict import Plain, final_text, last_box, stripped, without_boxes
from vlmake.extract.strict_options import Mention, is_rejected, option_core, option_named_by, options_in

_ONE_LETTER = re.compile(
    r"[\s\"'(\[<{]*(?:(?:option|choice|answer|选项|答案)\s*[:：]?\s*[\"'(\[<{]*)?([A-Za-z])[\s\"')\]>}.,:;!。]*",
    re.IGNORECASE,
)

# "The answer is", "the best choice would be:", "I would go with", 答案是, 故选. What follows is the answer.
_DECLARATION = re.compile(
    r"\b(?:answer|choice|option|selection|pick)\b(?:\s+(?:to|for)\s+(?:the|this)\s+(?:\w+\s+)?(?:question|problem))?\s*"
    r"(?:(?:is|was|would\s+be|should\s+be|must\s+be|will\s+be|could\s+be|appears\s+to\s+be|seems\s+to\s+be|->|=>|→|=|:)\s*)+"
    r"(?:(?:that|indeed|clearly|definitely|most|likely|probably|therefore|thus|simply)\s+)*"
    r"|\bI(?:'d|'ll|\s+would|\s+will|\s+have\s+to)?\s+(?:choose|chose|pick|select|go\s+with|vote\s+for|opt\s+for|say|guess)\s+"
    r"|\b(?:so|thus|therefore|hence)[,:]?\s+(?=[\"'(\[]*[A-Z][\"')\]]*\s*[.!]?\s*$)"
    r"|(?<![不别没非未])(?:(?:正确|最终|最佳)?(?:答案|选项|选择)|应该?选|我选|故选|所以选|因此选|本题选|选)"
    r"\s*(?:应该|应当|应)?\s*(?:(?:是|为|选|:|项)\s*)*",
    re.IGNORECASE,
)
_DECLARED_LETTER = re.compile(
    r"\s*(?:(?:the\s+)?(?:option|choice|letter|number)\s+|选项\s*)?(?P<open>[\"'(\[<{]*)\s*(?P<letter>[A-Za-z])(?P<close>\s*[\"')\]>}]+)?"
    r"(?![A-Za-z0-9_'-]|\.\w)",
    re.IGNORECASE,
)
# A letter that names the right option from behind: "B is correct", 选项B是正确答案.
_BACKWARD = re.compile(
    r"(?<!\w)(?<!\w')(?P<letter>[A-Z])(?:[\"')\]]{0,3}|[.):][^.\n]{0,60}?)\s*(?:is|seems|appears\s+to\s+be|must\s+be|would\s+be|是|为)\s*"
    r"(?:(?:the|clearly|definitely|probably|therefore|indeed|most|likely)\s+)*"
    r"(?:correct|right|best|answer|accurate|appropriate|正确|对的|答案|最佳)"
)
_LEADING = re.compile(
    r"[\s\"'(\[<]*(?:(?:[Oo]ption|[Cc]hoice|选项)\s*[\"'(\[<]*)?(?P<letter>[A-Z]|[a-z](?=\)))(?:[\"')\]>]+[.:,、]?|[.:,、]|\s*\n|\s*[-–—]\s|\s+(?=(?:because|since)\b)|\s*$)"
)
_LABEL = re.compile(r"(?<!\w)(?<!\w')([A-Z])[\"')\]]{0,3}[.):、](?=\s|$|[^\x00-\x7f])")
# Where a bare letter names an option and is no article, initial or "Vitamin A".
_BARE = re.compile(
    r"(?:[(\[\"']\s*(?P<quoted>[A-Z])\s*[)\]\"']"
    r"|(?:^|\b(?i:option|choice|letter|is|be|it's|that's|so|thus|therefore|hence|choose|pick|select|with|say|answer"
    r"|probably|maybe|perhaps|definitely|certainly|guess|or|and|either|both|not)\s*[,:]?\s*"
    r"|[:=>]\s*|\n\s*|(?<=[A-Z])\s*[,/&、]?\s*|选项?\s*|[是为和或与及不]\s*)"
    r"(?P<bare>[A-Z]))(?![A-Za-z0-9_'-])",
)
_GOES_ON = (
    r"because|since|as|for|due|and|or|but|which|with|based|given|rather|not|is|was|would|seems|from|if"
    r"|in\s+(?:this|the)"
)
_ARTICLE_AFTER = re.compile(rf"\s+(?!(?:{_GOES_ON})\b)(?:[a-z]|[A-Z]\w)")
_MORE_LETTERS = re.compile(
    r"\s*(?:,|\bor\b|\band\b|/|&|、|和|或|及|与)\s*(?:or\s+|and\s+)?(?:option\s+|选项)?[\"'(\[]*(?P<letter>[A-Z])(?![A-Za-z0-9_'])"
)
_CLAUSE_END = re.compile(r"[.!?](?=\s|$)|[。！？;；\n]")
_ENDS = re.compile(r"\s*(?:[.,;:!?)\n。]|\Z)")
_CLAUSE = 400  # characters in which a declaration says what it declares
_BLANKS = re.compile(r"\s*")
_HEDGE = re.compile(
    r"\s*(?:unclear|unknown|uncertain|not\s+(?:clear|given|provided|certain|available)|none|cannot|can't|impossible|无法|不确定|不明)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\bsorry\b|\bI\s+(?:can\s*not|can't|am\s+unable|am\s+not\s+able|don't\s+know|do\s+not\s+know)|\bI'm\s+(?:unable|not\s+(?:able|sure))"
    r"|\bunable\s+to\b|\bcannot\s+(?:be\s+)?(?:determine|tell|answer|see)|\bnot\s+sure\b|Failed\s+to\s+obtain\s+answer"
    r"|无法|抱歉|对不起|不知道|不确定|不能确定",
    re.IGNORECASE,
)
_RESOLVED_BY_TEXT = " \t\r\n\"'.,;:!?。，"


def read_choice(prediction: str | None, options: Mapping[str, str]) -> Extraction:
    """Return the letter of the option that a careful reader takes from the prediction, else unresolved.

    Layers: the whole text is a letter or an option's text; a box; the last declaration ("the answer is", 答案是,
    "B is correct"); a leading label ("B. because"); a lone letter where a letter can only be an option; the one
    option whose text occurs. Several letters, a rejected option, a letter that is no option, a label that contradicts
    the text beside it, and a refusal are unresolved.

    Args:
        prediction: The model's text; None where it gave none.
        options: Letter → text.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    if box := last_box(final.plain):
        boxed = _expression(box, options, "boxed")
        if boxed:
            return boxed
    plain = stripped(without_boxes(final.plain))
    return (
        _expression(plain, options, "letter")
        or _declared(plain, options)
        or _leading(plain, options)
        or _refusal(plain, options)
        or _lone_letter(plain, options)
        or _option_text(plain, options)
    )


def _expression(plain: Plain, options: Mapping[str, str], rule: str) -> Extraction | None:
    """Return what a text that is nothing but an answer says; None when it is something else."""
    text = plain.text
    if letter := _ONE_LETTER.fullmatch(text):
        return _letter(plain, letter[1], letter.span(1), options, rule)
    if named := option_named_by(text, options):
        kept = stripped(plain, _RESOLVED_BY_TEXT)
        return Extraction(named, rule if rule == "boxed" else "option_text", *kept.span(0, len(kept.text)))
    return None


def _letter(plain: Plain, letter: str, place: tuple[int, int], options: Mapping[str, str], rule: str) -> Extraction:
    if letter.upper() not in options:
        return unresolved("not_an_option")
    return Extraction(letter.upper(), rule, *plain.span(*place))


def _declared(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return what the last declaration that says something says."""
    text = plain.text
    found: list[tuple[int, Extraction]] = []
    for start in reversed([match.end() for match in _DECLARATION.finditer(text)]):
        if said := _after_declaration(plain, start, options):
            found.append((start, said))
            break
    for match in _BACKWARD.finditer(text):
        if match["letter"] in options and not is_rejected(text, *match.span("letter")):
            answer = _letter(plain, match["letter"], match.span("letter"), options, "declared_backward")
            found.append((match.start("letter"), answer))
    return max(found, key=lambda item: item[0])[1] if found else None


def _after_declaration(plain: Plain, start: int, options: Mapping[str, str]) -> Extraction | None:
    text = plain.text
    letter = _DECLARED_LETTER.match(text, start)
    if letter and _is_letter(text, letter):
        place = letter.span("letter")
        if is_rejected(text, *place):
            return None
        if several := _more_letters(text, letter.end(), letter["letter"].upper(), options):
            return several
        if _contradicts(text, letter.end(), letter["letter"].upper(), options):
            return unresolved("contradiction")
        return _letter(plain, letter["letter"], place, options, "declared")
    blanks = _BLANKS.match(text, start)
    begin = blanks.end() if blanks else start
    end = _CLAUSE_END.search(text, begin, begin + _CLAUSE)
    clause = plain.part(start, min(end.start() if end else len(text), start + _CLAUSE))
    mentions = options_in(clause.text, options)
    letters = {mention.letter for mention in mentions}
    if len(letters) == 1:
        return Extraction(mentions[0].letter, "declared_text", *clause.span(mentions[0].start, mentions[0].end))
    if len(letters) > 1:
        return unresolved("several_options")
    return unresolved("abstained") if _HEDGE.match(clause.text) else None


def _is_letter(text: str, match: re.Match[str]) -> bool:
    """Return whether a letter behind a declaration names an option: no article, no small letter before a word."""
    if match["open"] and match["close"]:
        return True
    if match["letter"].islower():
        return _ENDS.match(text, match.end()) is not None
    return match["letter"] not in "AI" or not _ARTICLE_AFTER.match(text, match.end())


def _more_letters(text: str, start: int, first: str, options: Mapping[str, str]) -> Extraction | None:
    """Return "several letters" when another option's letter is listed right behind the first."""
    more = _MORE_LETTERS.match(text, start)
    if not more or more["letter"] == first or more["letter"] not in options:
        return None
    if more["letter"] in "AI" and _ARTICLE_AFTER.match(text, more.end()):
        return None
    return unresolved("several_letters")


def _contradicts(text: str, start: int, letter: str, options: Mapping[str, str]) -> bool:
    """Return whether the text right behind a letter is another option's, whole."""
    end = _CLAUSE_END.search(text, start + 1, start + _CLAUSE)
    beside = text[start : end.start() if end else start + _CLAUSE].strip(_RESOLVED_BY_TEXT + ")]>、:")
    named = option_named_by(beside, options) if beside else None
    return named is not None and named != letter and option_core(options.get(letter, "")) != option_core(beside)


def _leading(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    r"""Return the letter with which the text begins as a label: "B. horse", "(B) because", "B\n\nBecause"."""
    text = plain.text
    match = _LEADING.match(text)
    if not match:
        return None
    letter = match["letter"].upper()
    if is_rejected(text, *match.span("letter")):
        return None
    labels = {label[1] for label in _LABEL.finditer(text) if not is_rejected(text, *label.span(1))} & set(options)
    if labels - {letter}:
        return unresolved("several_letters")
    if several := _more_letters(text, match.end("letter"), letter, options):
        return several
    if _contradicts(text, match.end(), letter, options):
        return unresolved("contradiction")
    return _letter(plain, match["letter"], match.span("letter"), options, "leading_letter")


def _refusal(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return "refusal" for a text that declines to answer, unless an option says such a thing."""
    if _REFUSAL.search(plain.text) and not any(_REFUSAL.search(option) for option in options.values()):
        return unresolved("refusal")
    return None


def _lone_letter(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    mentions = [mention for mention in _bare_letters(plain.text) if mention.letter in options]
    letters = {mention.letter for mention in mentions}
    if len(letters) > 1:
        return unresolved("several_letters")
    if mentions:
        return Extraction(mentions[0].letter, "lone_letter", *plain.span(mentions[0].start, mentions[0].end))
    return None


def _bare_letters(text: str) -> Iterator[Mention]:
    for match in _BARE.finditer(text):
        group = "quoted" if match["quoted"] else "bare"
        if group == "bare" and match["bare"] in "AI" and _ARTICLE_AFTER.match(text, match.end()):
            continue
        if not is_rejected(text, *match.span(group)):
            yield Mention(match[group], *match.span(group))


def _option_text(plain: Plain, options: Mapping[str, str]) -> Extraction:
    mentions = options_in(plain.text, options)
    letters = {mention.letter for mention in mentions}
    if len(letters) == 1:
        return Extraction(mentions[0].letter, "option_text", *plain.span(mentions[0].start, mentions[0].end))
    return unresolved("several_options" if letters else "none")
