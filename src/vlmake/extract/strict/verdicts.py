"""Lists that say of every option whether it is right: "A ✗ B ✓", A错B对, {"A": false, "B": true}, lines with marks."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found

LABELLED_LINE = re.compile(
    r"^[ \t]*(?:[-*•]|\d+[.)])?[ \t]*(?:\|[ \t]*|(?:Option|Choice|选项)[ \t]*)?\(?(?P<letter>[A-Z])(?:[).:、|]"
    r"|[ \t]*[|:–—-])(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_RIGHT = re.compile(
    r"[✅✔✓☑√]|(?<!not )(?<!in)\bcorrect\b|\btrue\b|[:：|–—-]\s*yes\b|(?<!不)正确|(?<!不)符合(?!题意的是)",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"[❌✘✗✖×]|\bnot\b|n't\b|\bincorrect\b|\bwrong\b|\bfalse\b|[:：|–—-]\s*no\b|错|不|没有|\bno\b|\bnobody\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(  # signs stand right behind a letter, words behind a colon, a dash or a bracket
    r"(?<![A-Za-z'])(?P<letter>[A-Z])[\"')\]]{0,2}\s*(?:项|选项)?\s*(?:"
    r"(?:[:=(–—-]\s*)?(?:(?P<no>[❌✘✗✖×]|是?错误?的?|是?不正确|是?不对|不符合?)|(?P<yes>[✅✔✓☑√]|是?正确的?"
    r"|是?对的?|符合))"
    r"|(?:[:=(|]\s*|\s[-–—]\s+|\s+is\s+)\**(?:(?P<wrong>(?i:no|false|incorrect|wrong|not\s+(?:correct|right|true)))"
    r"|(?P<right>(?i:yes|true|correct|right)))(?![\w-])(?!\s+(?:answer|angle|side)))"
)
_SHARE = re.compile(
    r"(?<![A-Za-z'])\(?(?P<letter>[A-Z])[\"')\]]{0,2}(?:\s+\w+){0,4}\s*[:=(–—-]\s*\d+(?:\.\d+)?\s*%?\)?[\s,;|}]*"
)
_TWO_LETTERS = re.compile(r"(?<![A-Za-z'])[A-Z](?![A-Za-z]).*?(?<![A-Za-z'])[A-Z](?![A-Za-z])", re.DOTALL)
_MOST = 0.7  # share of a text that a list fills which is all it says


def is_list(text: str) -> bool:
    """Return whether a text gives verdicts or shares on several letters."""
    return _TWO_LETTERS.search(text) is not None and (len(_verdicts(text) or ()) > 1 or _is_shares(text))


def marked(plain: Plain, options: Mapping[str, str], negated: bool) -> Extraction | None:
    """Return the option that a list of verdicts singles out.

    Args:
        plain: The text.
        options: Letter → text.
        negated: Whether the question asks for what is wrong, so that the only wrong one may be meant.
    """
    text = plain.text
    if line := _marked_line(plain, options):
        return line
    if _is_shares(text):
        return unresolved("several_letters")
    verdicts = {letter: verdict for letter, verdict in (_verdicts(text) or {}).items() if letter in options}
    if len(verdicts) < 2:
        return None
    right = [letter for letter, (holds, _) in verdicts.items() if holds]
    wrong = [letter for letter in verdicts if letter not in right]
    if negated and len(wrong) == 1 and len(right) > 1:
        return found(wrong[0], "marked", plain, *verdicts[wrong[0]][1])
    if len(right) == 1 and (not negated or len(wrong) > 1):
        return found(right[0], "marked", plain, *verdicts[right[0]][1])
    return unresolved("several_letters") if len(right) > 1 else None


def _verdicts(text: str) -> dict[str, tuple[bool, tuple[int, int]]] | None:
    """Return letter → whether it is right, and its place; None where two verdicts on one letter differ."""
    found_so: dict[str, tuple[bool, tuple[int, int]]] = {}
    for match in _VERDICT.finditer(text):
        holds = match["yes"] is not None or match["right"] is not None
        if found_so.setdefault(match["letter"], (holds, match.span("letter")))[0] != holds:
            return None
    return found_so


def _is_shares(text: str) -> bool:
    shares = list(_SHARE.finditer(text))
    filled = sum(match.end() - match.start() for match in shares)
    return len({match["letter"] for match in shares}) > 1 and filled >= _MOST * len(text.strip(" {}\n"))


def _marked_line(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option whose line alone is marked as right, where every option has its line ("B: ✅", "C: no")."""
    lines = {match["letter"]: match for match in LABELLED_LINE.finditer(plain.text) if match["letter"] in options}
    if len(lines) < max(2, len(options) - 1):
        return None
    right = [
        letter for letter, line in lines.items() if _RIGHT.search(line["rest"]) and not _WRONG.search(line["rest"])
    ]
    wrong = [letter for letter, line in lines.items() if _WRONG.search(line["rest"]) and letter not in right]
    if len(right) != 1 or len(wrong) != len(lines) - 1:
        return None
    return found(right[0], "marked", plain, *lines[right[0]].span("letter"))
