"""Letters of options in a text: where a letter names an option, and where it is said to be the answer.

"A" as an article, an initial, "Vitamin A", "angle A" and "Team C" are no letters of options.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vlmake.extract.strict.options import option_core, options_in
from vlmake.extract.strict.overlap import word_set, words_in
from vlmake.extract.strict.withheld import is_denied

# "The answer is", "the best choice would be:", "I would go with", 答案是, 故选. What follows is the answer.
_ALONE = r"(?=[\"'(\[]*(?:(?:option|choice|answer)\s+)?[\"'(\[]*[A-Z][\"')\]]*\s*(?:[.,;!(]|$))"  # a letter and no more
_DECLARATION = re.compile(
    r"\b(?:(?:answer|ans\b\.?|choice|option|selection|pick|(?:right|correct|best)\s+one)\b"
    r"(?:\s+(?:to|for)\s+(?:the|this)\s+(?:\w+\s+)?(?:question|problem))?[\"']?\s*\]?\s*"
    r"(?:(?:is|was|would\s+be|should\s+be|must\s+be|will\s+be|could\s+be|has\s+to\s+be|appears\s+to\s+be"
    r"|seems\s+to\s+be|->|=>|→|=|:|[-–—](?=\s*[\"'(\[]?[A-Z][\"')\]]?\s*(?:[.,]|$)))\s*)+"
    r"(?:(?:that|indeed|clearly|definitely|most|likely|probably|therefore|thus|simply|still|now|actually)\s+)*"
    r"|I(?:'d|'ll|\s+would|\s+will|\s+have\s+to|\s+must)?\s+(?:(?:choose|chose|pick|select|go\s+with|vote\s+for"
    rf"|opt\s+for|say|guess)\s+|take\s+{_ALONE})"
    rf"|(?:(?:going|go|went|settle|settling)\s+(?:with|for|on)|points?\s+to|lean(?:ing)?\s+towards?|my\s+(?:vote"
    rf"|money|bet)\s+(?:is\s+on|goes\s+to))\s+{_ALONE}"
    r"|only\s+(?:one|option|choice|candidate|possibility|suspect|person)\s+(?:left|remaining|possible)\s+(?:is"
    r"|are)\s+"
    r"|(?:leaves|leaving)\s+(?:us\s+with\s+|only\s+)*|only\s+(?=[\"'(]?[A-Z][\"')]?\s+(?:remains|is\s+left"
    r"|fits|is\s+possible))"
    r"|(?:so|thus|therefore|hence)[,:]?\s+(?=[\"'(\[]*[A-Z][\"')\]]*\s*[.!]?\s*$))"
    r"|(?<=[.!?。])\s+(?=[\"'(\[]*[A-Z][\"')\]]*[.!]?\s*$)"
    r"|(?:(?<![不别没非未])(?:(?:正确|最终|最佳)的?(?:答案|选项|选择)|答案|(?<![A-Z各个析])选项|选择|回答|应该?选择?|我选择?"
    r"|故选择?|所以选择?|因此选择?|本题选择?|选(?!项))"
    r"|的一项(?=应?[该当]?[是为])|正确的(?=应?[该当]?[是为])|剩下的?只?有?|只剩下?|我(?:认为|觉得|猜)(?=是|应该"
    r"|选)|[(\[]答案[)\]])"
    r"[\s\"')\]]*(?:应该|应当|应)?\s*(?:(?:是|为|选|:|项)\s*)*",
    re.IGNORECASE,
)
_DECLARING = word_set(  # words without which an English text declares nothing before its last letter
    "answer ans choice option selection pick one i i'd i'll going go went settle settling point points lean leaning my "
    "only leaves leaving so "
    "thus therefore hence"
)
_LETTER_AT_THE_END = re.compile(r"[.!?]\s+[\"'(\[]*[A-Z][\"')\]]*[.!]?\s*$")
DECLARED_LETTER = re.compile(
    r"\s*(?:(?:the\s+)?(?:option|choice|letter|number|answer)\s*:?\s+"
    r"|选项\s*)?(?P<open>[\"'(\[<{]*)\s*(?P<letter>[A-Za-z])(?P<close>\s*[\"')\]>}]+)?"
    r"(?![A-Za-z0-9_'-]|\.\w)",
    re.IGNORECASE,
)
SEVERAL_TOGETHER = re.compile(r"\s*[\"'(\[]*(?P<letters>[A-Z]{2,8})(?![A-Za-z0-9_'-])")
# A letter that names the right option from behind: "B is correct", 选项B是正确答案.
BACKWARD = re.compile(
    r"(?<!\w)(?<!\w')(?P<letter>[A-Z])(?:"
    r"(?:[\"')\]]{0,3}|[.):][^.\n]{0,60}?)\s*(?:(?:is|seems|appears\s+to\s+be|must\s+be|would\s+be|是|为)\s*)"
    r"(?:(?:the|my|clearly|definitely|probably|therefore|indeed|most|likely|thus|final|only|reasonable|logical"
    r"|obvious|possible|closest)\s+)*"
    r"(?:correct|right|best|answer|choice|pick|accurate|appropriate|(?:more|most)\s+(?:likely|plausible|accurate"
    r"|appropriate|suitable)|better|正确|对的|答案|最佳)"
    r"|[\"')\]]{0,2}\s+(?:(?:fits|matches|works|describes|explains)\s+(?:best|better|the|this|it)\b"
    r"|(?:it\s+is|wins)(?=\s*(?:[.,;!]|$))|(?<=[,;.]\s[A-Z]\s)(?:is|does)(?=\s*(?:[.;!]|$)))"
    r"|\s*(?:项|选项)?正确(?!答案|[的与吗]))"
    r"|\bmak(?:es?|ing)\s+(?:it\s+(?:option\s+|choice\s+)?[\"'(\[]*(?P<so>[A-Z])[\"')\]]*(?=\s*(?:[.,;!]|$))"
    r"|(?:(?:the\s+)?(?:option|choice|statement|answer)\s+)?[\"'(\[]?(?P<made>[A-Z])[\"')\]]?\s+(?:the\s+)?"
    r"(?:right|correct|best|answer|only))"
)
LEADING = re.compile(
    r"[^\w+#°%$€£-]*(?:(?:[Oo]ption(?![a-z])|[Cc]hoice(?![a-z])"
    r"|选项)\s*[\"'(\[<]*(?P<named>[A-Za-z])(?=[\"')\]>,.:;]|\s+(?:because"
    r"|since|as|-|–|—)|\s*$|\n)"
    r"|(?P<letter>[A-Z]|[a-z](?=[).]))(?:[\"')\]>]+[.:,、]?|[.:,、。](?!\d)|\s*\n|\s*(?:[-–—]|\|)\s|\s+(?=(?:because"
    r"|since|as\s+the)\b)|\s*[([]|\s*$))"
)
_LABEL = re.compile(r"(?<!\w)(?<!\w')\(?([A-Z])[\"')\]]{0,3}[.):、,]?\s*")
# Where a bare letter names an option and is no article, initial or "Vitamin A".
_BARE = re.compile(
    r"(?:(?<!\w)[(\[\"']\s*(?P<quoted>[A-Z]|(?<=\()[a-z](?=\)))\s*[)\]\"']"
    r"|(?:^\s*|\b(?i:options?|choices?|statements?|letter|is|isn't|wasn't|be|it's|that's|so|thus|therefore|hence|choose|pick|select|with"
    r"|say|answer"
    r"|probably|maybe|perhaps|definitely|certainly|guess|either|both|not|neither|leaves)\s*[,:]?\s*"
    r"|(?<![A-Za-z])[:=>→⇒]\s*|:\s+(?=[A-Z][\"')\]]*\s*[.!]?\s*$)|\n\s*(?:[|-]\s*)?|[.!?。;]\s+|选项?\s*"
    r"|(?<![向角点线边])[是为]\s*|排除\s*|(?:所以|因此|故)\s*(?=[A-Z]\s*(?:项|选项)?(?:是|为|错|对|正确|不|[,。.]|$))"
    r"|\b(?i:but|eliminat(?:e|ed|ing)|discard(?:ed|ing)?|exclud(?:e|ed|ing)|rul(?:e|ed|ing)\s+out|reject(?:ed"
    r"|ing)?|dismiss(?:ed|ing)?|cross(?:ed|ing)?\s+out)\s+(?:(?i:options?)\s+)?"
    r"|[,,、]\s*(?=[A-Z]\s*(?:项|选项)?(?:错|不|可以排除|正确))"
    r"|[\u4e00-\u9fff]\s?(?=[A-Z](?:\s*[、和与或及,]\s*[A-Z])+))"
    r"(?P<bare>[A-Z](?:\s*(?:,|、|/|&|和|与|或|及|(?:,\s*)?\band\b|(?:,\s*)?\bor\b|\bnor\b)\s*(?:(?i:options?)\s+"
    r"|选项\s*|not\s+)?[A-Z](?![A-Za-z0-9_']))*))"
    r"(?![A-Za-z0-9_'-])"
)
_GOES_ON = (
    r"because|since|as|for|due|and|or|but|which|with|based|given|rather|instead|not|is|was|were|would|will|seems"
    r"|from|if|unless"
    r"|makes|can|could|should|must|may|might|doesn't|isn't|wasn't|can't|does|did|has|had|have|shows|fits|matches"
    r"|at|by|on|to|too"
    r"|after|before|when|where|while|whereas|although|though|according|considering|here|again|then|than|therefore"
    r"|thus|so|also|only|still|now|over"
    r"|until|into|out|up|it|that|this|these|those|there|they|we|you|I|contradicts|fails|describes|explains|says"
    r"|states|refers|in\s+(?:this|the)"
)
_ARTICLE_AFTER = re.compile(rf"(?:[ \t]+|[ \t]*\n[ \t]*(?=[a-z]))(?!(?:{_GOES_ON})\b)(?:[a-z]|[A-Z]\w)")
_MORE_LETTERS = re.compile(
    r"\s*(?:,|\bor\b|\band\b|/|&|、|和|或|及|与)\s*(?:or\s+|and\s+)?(?:option\s+"
    r"|选项)?[\"'(\[]*(?P<letter>[A-Z])(?![A-Za-z0-9_'])"
)
_ENDS = re.compile(r"\s*(?:[.,;:!?)\n。]|\Z)")
_CAPITAL = re.compile(r"[A-Z]|^[a-z]$")


class LetterMention(NamedTuple):
    """One letter of an option, or a list of them ("A and C"), and whether the text rejects it."""

    letters: str
    start: int
    end: int
    rejected: bool


def declarations(text: str) -> list[re.Match[str]]:
    """Return where a text declares its answer, in order; what it declares stands behind."""
    if text.isascii() and _DECLARING.isdisjoint(words_in(text)) and not _LETTER_AT_THE_END.search(text):
        return []
    return list(_DECLARATION.finditer(text))


def is_letter(text: str, match: re.Match[str]) -> bool:
    """Return whether a letter behind a declaration names an option: no article, no small letter before a word."""
    if match["open"] and match["close"]:
        return True
    if match["letter"].islower():
        return _ENDS.match(text, match.end()) is not None
    return match["letter"] not in "AI" or not is_article(text, match.end())


def is_article(text: str, end: int) -> bool:
    """Return whether an A (or I) that ends at ``end`` is a word of the sentence: something goes on that A names."""
    return _ARTICLE_AFTER.match(text, end) is not None


def more_letters(text: str, start: int, first: str, options: Mapping[str, str]) -> bool:
    """Return whether another option's letter is listed right behind the first: "B or C"."""
    more = _MORE_LETTERS.match(text, start)
    if not more or more["letter"] == first or more["letter"] not in options:
        return False
    return more["letter"] not in "AI" or not is_article(text, more.end())


def letters_in(text: str, options: Mapping[str, str]) -> Iterator[LetterMention]:
    """Yield where options are named by their letters, in order of place."""
    for match in _BARE.finditer(text):
        group = "quoted" if match["quoted"] else "bare"
        start, end = match.span(group)
        if group == "bare" and match[group][-1] in "AI" and is_article(text, end):
            continue
        letters = [letter.upper() for letter in _CAPITAL.findall(match[group])]
        if letters and all(letter in options for letter in letters):
            yield LetterMention("".join(dict.fromkeys(letters)), start, end, is_denied(text, start, end))


def letters_outside(text: str, options: Mapping[str, str]) -> Iterator[LetterMention]:
    """Yield the letters that stand in no option's text: the C of "C. D. Hughes" is none."""
    places = [(mention.start, mention.end) for mention in options_in(text, options, rejected=True)]
    for letter in letters_in(text, options):
        if not any(start < letter.end and letter.start < end for start, end in places):
            yield letter


def listing(text: str, lower: str, options: Mapping[str, str]) -> tuple[int, int] | None:
    """Return where a text repeats the options, label by label, each with its own text; None when it does not."""
    entries: list[tuple[int, int]] = []
    best: tuple[int, int, int] = (0, 0, 0)
    for match in _LABEL.finditer(text):
        core = option_core(options.get(match[1], ""))
        end = next(
            (
                at + len(core)
                for at in (match.end(), *_past_article(lower, match.end()))
                if core and lower.startswith(core, at)
            ),
            0,
        )
        if not end:
            continue
        if entries and text[entries[-1][1] : match.start()].strip(" \t\r\n.,;|*-。、/"):
            entries = []
        entries.append((match.start(), end))
        best = max(best, (len(entries), entries[0][0], end))
    return best[1:] if best[0] >= min(3, max(2, len(options))) else None


def _past_article(lower: str, start: int) -> Iterator[int]:
    for article in ("a ", "an ", "the "):
        if lower.startswith(article, start):
            yield start + len(article)
