"""The strict reading of an answer to a yes-or-no question, English or Chinese."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain, last_box
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, REFUSAL, after_retraction, breaks_off, sentences
from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.polar import coded, counted, not_seen, placed_elsewhere
from vlmake.extract.strict.reading import core, final_text, last_field
from vlmake.extract.strict.statement import Asked, asked_for, denies, echoed, one_word, polarity

_YES = r"yes|yeah|yep|yup|true|correct|affirmative"
_NO = r"no|nope|nah|false|incorrect|negative|wrong"
_YES_ZH = r"是的|是|对的|对|没错|嗯|正确|有的|有|存在|可以|能|会|属于|真"
_NO_ZH = r"不是|不对|不正确|并没有|没有|不存在|不能|不可以|不会|不属于|否|不|错误|错|没|假"
_EITHER = rf"(?:{_YES}|{_NO})"
_SIGNS = {**dict.fromkeys("✅✔✓☑√👍", "Yes"), **dict.fromkeys("❌✘✗✖×🚫👎", "No")}

# "yes or no", "yes/no", 是否, 有没有: both words named, neither said.
_PAIR = re.compile(
    r"\b(?:yes\s*(?:/|\bor\b|\band\b|\bnor\b)\s*no|no\s*(?:/|\bor\b|\band\b)\s*yes)\b|是否|是不是|有没有|对不对"
    r"|能否|有无|对错|真假|是或否"
    r"|\bneither\s+yes\b[^.!?\n]*|(?<!\w)[\"'](?:yes|no)[\"']\s*(?:or|/|and)\s*[\"'](?:yes|no)[\"']",
    re.IGNORECASE,
)
# A word that is quoted is spoken of, not said: the box "No" is ticked. Behind "answer is" it is said.
_QUOTED = re.compile(r"(?<!is )(?<!: )(?<!是)(?<!为)(?<!:)(?<!^)[\"'](?:yes|no)[\"']", re.IGNORECASE)
_DECLARED = re.compile(
    rf"(?:answer|conclusion|verdict|response|final)\s*(?:to\s+(?:the|this|your)\s+question\s*)?"
    rf"(?:is|would be|should be|must be|:|=|->)\s*(?:thus|therefore|clearly|definitely|still|simply|hence"
    rf"|indeed)?\s*:?\s*(?P<not>not\s+|n't\s+)?[\"'(\[<]*"
    rf"(?:(?P<en>{_EITHER})(?![\w-])|(?P<zh2>{_NO_ZH}|{_YES_ZH})(?=\W|$))"
    rf"|(?:答案|回答|结论|判断)(?:应该|应当|应)?(?:是|为|:)*\s*(?P<nozh>不应?[是为]\s*)?[\"'(\[「]*"
    rf"(?:(?P<zh>{_NO_ZH}|{_YES_ZH})(?![\w])|(?P<en2>yes|no)(?![a-z-]))",
    re.IGNORECASE,
)
_ONLY_IF = re.compile(r"\b(?:if|case|would|otherwise|had)\b", re.IGNORECASE)
# A verdict stands alone: at the start of a sentence or clause and followed by punctuation or the end, or by a word
# with which a sentence goes on ("No it is not"). "No dog", "no problem" and "no doubt" are no verdicts.
_GOES_ON = r"it|there|this|that|the|they|he|she|i|we|you|because|since|as|not|in|a|an"
_VERDICT = re.compile(
    rf"(?:(?:^|[.!?。;,:\n\"✅❌✔✘×√'(\[]|-|–|—|\b(?:is|so|say|think|therefore|thus|hence|guess|believe|definitely"
    rf"|certainly|probably|likely"
    rf"|simply|just|clearly|absolutely|not|a))\s*)"
    rf"(?<![\w-])(?P<word>{_EITHER})(?=\s*(?:[.,;:!?\"'()\]\n]|$|—|–|-\s|[\u4e00-\u9fff]|\s+(?:{_GOES_ON})\b))(?!-\w)",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|isn't|cannot be|can't be|don't think it is)|不是?|并非)\s*(?:a|an|the)?\s*[\"'(]*$",
    re.IGNORECASE,
)
_VERDICT_ZH = re.compile(
    rf"(?:^|[.!?。;,:\n\"'(\[])\s*(?P<word>{_NO_ZH}|{_YES_ZH})(?=\s*(?:[.,;:!?\"')\]\n。、]|$)|的?(?:[,.。!]|$))"
)
_LEADING_ZH = re.compile(r"^[\s\"'(\[]*(?P<word>不是|并?没有|不对|不存在|是的|对的|有的|没错|嗯(?=[,。!]))(?!可能|错)")
# Words that answer without yes or no, at the start of a text.
_OPENING = re.compile(
    r"^\W*(?:(?P<no>not\s+(?:really|quite|exactly|at\s+all|necessarily\s+no|yet)|(?:absolutely|definitely"
    r"|certainly|clearly|most\s+likely|probably|unfortunately|of\s+course)\s+not"
    r"|I\s+don't\s+(?:think|believe)\s+so|not\s+that\s+I\s+can\s+see|hardly(?=\s*[.,;!])|barely(?=\s*[.,;!])|far\s+from\s+it|nowhere\s+near|it\s+(?:doesn't|does\s+not)\s+(?:look|seem"
    r"|appear)(?:\s+(?:like\s+it|so|that\s+way))|(?:it|he|she|they|there|that|this)\s+(?:(?:is|are|was|were|does"
    r"|do|did|has|have|can)(?:n't|\s+not)|cannot)(?=\s*[.:,;!]|\s*$)"
    r"|there\s+(?:is|are)\s+none)"
    r"|(?P<yes>(?:(?:I|we)\s+(?:think|believe|guess)|it\s+(?:seems|appears|looks))\s+so|sure(?=\s*[,.!])|indeed"
    r"|exactly|absolutely|certainly|definitely|of\s+course|precisely|that(?:'s|\s+is)\s+(?:right|correct|true)"
    r"|(?:it|he|she|they|there|that|this)\s+(?:is|are|was|were|does|do|did|has|have|can)(?=\s*[.:,;!]|\s*$)"
    r"|I\s+can\s+see\s+(?:one|some)|there\s+(?:is|are)\s+(?:one|some)))\b",
    re.IGNORECASE,
)
# "Yes, of course I can check that" agrees to help, and 没问题 too; neither answers.
_COURTESY = re.compile(
    r"^\W*(?:hello|hi|sure|certainly|of\s+course)?[\s!,.]*(?:(?:yes|sure"
    r"|no\s+problem)[,!.]?\s+(?:of\s+course\s+)?(?:I\s+can|I'd\s+be|let\s+me|happy\s+to)[^.!?\n]*[.!?\n]"
    r"|(?:好的|当然)?[,!。]?\s*没问题[,!。]?)",
    re.IGNORECASE,
)
_THERE_IS = re.compile(
    r"^\W*(?:there\s+(?P<no>is\s+no|are\s+no|isn't|aren't|is\s+not|are\s+not)|there\s+(?:is|are))\s+"
    r"(?:an?\s+|any\s+|the\s+|some\s+)?(?P<thing>[\w-]+)",
    re.IGNORECASE,
)
_ASKED = re.compile(r"^\W*(?:is|are)\s+there\s+(?:an?\s+|any\s+|the\s+|some\s+)?(?P<thing>[\w-]+)", re.IGNORECASE)
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-•|]|\d+[.)]|\([a-z]\)).*$", re.MULTILINE)
_SHORT_TEXT = 120  # characters of a text whose last clause may echo the question
_FEW = 3  # sentences in which a verdict anywhere is the text's
_TRUTH = re.compile(
    r"(?:说法|描述|表述|观点|结论|陈述|命题)(?:是|为)?(?:(?P<no>不(?:正确|准确|成立|对|符合|属实)|错误|错的|有误)"
    r"|正确|准确|成立|符合|属实|对(?=[。,的]|$))"
    r"|\b(?:statement|claim|assertion|caption|description)\s+is\s+(?P<not>not\s+|in(?=correct|accurate)|un(?=true)"
    r"|(?=false|wrong))?(?:correct|accurate|true|false|wrong|right)\b",
    re.IGNORECASE,
)
_HAS = re.compile(r"\s*(?P<word>有)(?=\s*[A-Za-z一两几个,。只])(?![点些时]|[^,。]{0,6}可能)")
_TURNS = re.compile(r"\W*(?:however|but|yet|although|actually|但是?|然而|不过|可是)[,\s]*", re.IGNORECASE)
_QUOTED_ANY = re.compile(r"[\"“「][^\"”」\n]{1,80}[\"”」]")
_ANSWERS_ITSELF = re.compile(r"(?P<asked>[^.?!\n]{6,200})\?\s*(?P<word>yes|no)\b(?=\s*[.,!;]|\s*$)", re.IGNORECASE)
_OPEN_PAIR = re.compile(
    r"(?:answer|verdict|conclusion|答案|回答)\s*(?:is|:|是|为)\s*[\"'(\[]*(?:yes\s*(?:/|or)\s*no|no\s*(?:/|or)\s*yes|是\s*[/或]\s*否)",
    re.IGNORECASE,
)
_REACH = 48  # characters before a word in which its negation can stand
_OPPOSED = frozenset(("true", "correct", "affirmative"))
_NO_WORDS = frozenset([*_NO.split("|"), *_NO_ZH.split("|")])


class _Mention(NamedTuple):
    answer: str
    start: int
    end: int


def read_yes_no(prediction: str | None, question: str | None = None) -> Extraction:
    """Return Yes or No as a careful reader takes the prediction, else unresolved.

    Layers: a box; a field of JSON; a word or sign alone; the last "the answer is …" (答案是…); the verdict with which
    the text concludes or begins; words that stand alone as a verdict, all of which must agree; a sentence that states
    what was asked. What a text takes back does not count, and a verdict beside its contrary is a contradiction.

    Args:
        prediction: The model's text; None where it gave none.
        question: What was asked, for the last layer.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    asked = asked_for(question)
    box = last_box(final.plain)
    plain = core(final.plain)
    for piece, rule in ((box, "boxed"), (last_field(plain), "field"), (plain, "verdict")):
        if piece is not None and (only := _only_word(piece.text)):
            start = piece.text.lower().index(only[1])
            return found(only[0], rule, piece, start, start + len(only[1]))
    if box is not None and (said := polarity(box.text, asked)) and box.text:
        return found(said, "boxed", box, 0, len(box.text))
    plain = _without_question(plain, question)
    taken_back = after_retraction(plain.text)
    if taken_back is None:
        return _read(plain, asked, question)
    answer = _read(plain.part(taken_back, len(plain.text)), asked, question)
    return answer if answer.found else unresolved("retracted")


def _without_question(plain: Plain, question: str | None) -> Plain:
    """Return the text without the question that it repeats at its start, and without what agrees to help."""
    asked = " ".join((question or "").split())
    if asked and plain.text.startswith(asked):
        plain = plain.part(len(asked), len(plain.text))
    courtesy = _COURTESY.match(plain.text)
    return plain.part(courtesy.end(), len(plain.text)) if courtesy and plain.text[courtesy.end() :].strip() else plain


def _read(plain: Plain, asked: Asked, question: str | None) -> Extraction:
    blank = lambda match: " " * len(match[0])  # noqa: E731  # places must not move
    paired = _PAIR.sub(blank, plain.text)
    text = _QUOTED.sub(blank, paired)
    if _OPEN_PAIR.search(plain.text):
        return unresolved("both_words")
    if itself := [m for m in _ANSWERS_ITSELF.finditer(text) if question and content(m["asked"]) >= asked.words]:
        return _found(plain, _mention(itself[-1], "word"), "verdict")
    declared = list(_declared(paired))
    if declared:
        return _last_declared(plain, declared)
    verdicts = list(_verdicts(text))
    leading = next((verdict for verdict in verdicts if not text[: verdict.start].strip(" \t\r\n\"'([!✅❌✔✘×√")), None)
    concluded = _concluded(text, verdicts)
    if leading and concluded and leading.answer != concluded.answer:
        return unresolved("contradiction")
    if concluded:
        return _found(plain, concluded, "verdict")
    if leading:
        return _checked(plain, leading, asked, verdicts)
    if opening := _OPENING.match(text):
        said = "no" if opening["no"] else "yes"
        return found(said.title(), "leading_word", plain, *opening.span(said))
    if (sign := _signed(text)) is not None:
        return found(_SIGNS[text[sign]], "leading_word", plain, sign, sign + 1)
    if truth := _TRUTH.search(text):
        denied = truth["no"] is not None or truth["not"] is not None
        return found("No" if denied else "Yes", "statement", plain, *truth.span())
    if (answer := coded(plain.text, question or "")) or (answer := one_word(plain.text, asked)):
        return found(answer, "statement", plain, 0, len(plain.text))
    if absent := not_seen(text, asked.words):
        return found("No", "statement", plain, *absent.span())
    if stated := _counted(plain, question) or _stated(plain, asked):
        return stated
    return _weak(plain, text, verdicts, asked, question) or unresolved("both_words" if paired != plain.text else "none")


def _weak(plain: Plain, text: str, verdicts: list[_Mention], asked: Asked, question: str | None) -> Extraction | None:
    """Return what verdicts inside the text say where they agree, or a sentence that begins with one."""
    items = [match.span() for match in _LIST_ITEM.finditer(text)]
    loose = [verdict for verdict in verdicts if not any(start <= verdict.start < end for start, end in items)]
    answers = {verdict.answer for verdict in loose}
    if len(answers) > 1:
        return unresolved("contradiction")
    spans = sentences(text)
    edges = bool(loose) and (len(spans) <= _FEW or any(spans[n][0] <= loose[-1].start < spans[n][1] for n in (0, -1)))
    if edges and not HEDGE.search(text) and not breaks_off(text):
        return _found(plain, loose[-1], "verdict")
    if (leading := _LEADING_ZH.match(text)) and not asked.negated:
        return _found(plain, _mention(leading, "word"), "leading_word")
    if re.search("有没有|有无|有[^?？]*吗", question or "") and (has := _HAS.match(text)):
        return found("Yes", "leading_word", plain, *has.span("word"))
    if REFUSAL.search(text):
        return unresolved("refusal")
    return _there_is(plain, question)


def _last_declared(plain: Plain, declared: list[_Mention | None]) -> Extraction:
    """Return the last declaration; two that differ side by side, with no word of correction between, are none."""
    last = declared[-1]
    if last is None:
        return unresolved("negated")
    before = declared[-2] if len(declared) > 1 else None
    if before and before.answer != last.answer and len(sentences(plain.text[before.end : last.start])) <= 2:
        between = plain.text[before.end : last.start].lower()
        if not re.search(r"but|however|final|now|then|first|correct(?:ed|ion)|最终|但", between):
            return unresolved("contradiction")
    return _found(plain, last, "declared")


def _checked(plain: Plain, leading: _Mention, asked: Asked, verdicts: list[_Mention]) -> Extraction:
    """Return the verdict with which a text begins, unless its first sentence or a later verdict says the contrary."""
    rest = _QUOTED_ANY.sub(lambda match: " " * len(match[0]), plain.text[leading.end :])
    said = [rest[slice(*span)].strip(" ,.;:!。") for span in sentences(rest)]
    first = next((sentence for sentence in said[:2] if sentence), "")
    said_first = next(
        (v for v in verdicts if v is not leading and len(plain.text[leading.end : v.start].split()) <= 1), None
    )
    if said_first and said_first.answer != leading.answer:
        return unresolved("contradiction")
    if leading.answer == "Yes" and denies(first, asked):
        return unresolved("contradiction")
    later: list[str | None] = []
    for sentence in said[1:]:
        if CONCLUDES.match(sentence):
            later.append(polarity(sentence, asked))
        elif turn := _TURNS.match(sentence):
            later.append("No" if denies(sentence[turn.end() :], asked) else None)
    if any(answer and answer != leading.answer for answer in later):
        return unresolved("contradiction")
    return _found(plain, leading, "verdict")


def _concluded(text: str, verdicts: list[_Mention]) -> _Mention | None:
    """Return the last verdict that follows "so" or closes the text."""
    for verdict in reversed(verdicts):
        before = text[max(0, verdict.start - _REACH) : verdict.start]
        marks = list(CONCLUDES.finditer(before))
        if (
            marks
            and len(before[marks[-1].end() :].split()) <= 2
            and not re.search(r"[.!?]\s", before[marks[-1].end() :])
        ):
            return None if _otherwise(text, verdict) else verdict
        if not text[verdict.end :].strip(" .!。\"')*") and re.search(r"(?:[:,–—-]|\n)\s*[\"']?$", before):
            return None if _otherwise(text, verdict) else verdict
    return None


def _signed(text: str) -> int | None:
    """Return where the one sign stands with which the text or its last line begins."""
    last = text.rstrip().rfind("\n") + 1
    places = [place for place in sorted({0, last}) if text[place : place + 1] in _SIGNS]
    return places[0] if len(places) == 1 and sum(letter in _SIGNS for letter in text) == 1 else None


def _otherwise(text: str, verdict: _Mention) -> bool:
    """Return whether a verdict is one of two, under a condition: "if so, yes; otherwise no"."""
    near = text[max(0, verdict.start - 100) : verdict.end + _REACH]
    return re.search(r"\b(?:otherwise|depends|if\s+not)\b|取决于|否则", near, re.IGNORECASE) is not None


def _stated(plain: Plain, asked: Asked) -> Extraction | None:
    """Return what the concluding, the last or the first sentence that answers the question states."""
    text = plain.text
    if not asked.words or not text.strip() or breaks_off(text):
        return None
    first = re.match(r"[^,;。.!?]{1,12}", text)
    spans = sentences(text)
    echo = echoed(first[0], asked) if first else None
    if (
        not echo
        and len(text) <= _SHORT_TEXT
        and (closing_clause := re.search(r"[^,;:。.!?]{1,12}(?=[.。!]?\s*$)", text))
    ):
        first = closing_clause
        echo = echoed(first[0], asked)
    said = [(None if text[end - 1] == "?" else polarity(text[start:end], asked), start, end) for start, end in spans]
    answers = [(answer, start, end) for answer, start, end in said if answer]
    closing = [entry for entry in answers if CONCLUDES.search(text, *entry[1:])]
    if echo and not any(answer != echo for answer, _, _ in answers) and first:
        return found(echo, "statement", plain, *first.span())
    if echo:
        return unresolved("contradiction")
    if closing:
        return found(str(closing[-1][0]), "statement", plain, *_trim(text, *closing[-1][1:]))
    last = text[slice(*spans[-1])]
    if not answers or REFUSAL.search(last) or HEDGE.search(last):
        return None
    if len({answer for answer, _, _ in answers}) > 1:
        answers = [entry for entry in answers if entry[1] == spans[-1][0]]
    return found(str(answers[-1][0]), "statement", plain, *_trim(text, *answers[-1][1:])) if answers else None


@lru_cache(maxsize=1024)
def _only_word(text: str) -> tuple[str, str] | None:
    """Return (answer, word) when the text is one word or sign of the lexicon, said once or over and over."""
    signs = {_SIGNS[letter] for letter in text if letter in _SIGNS}
    word = text.strip("".join(_SIGNS) + " \t\r\n.,!\"'()[]「」。~").lower()
    if not word and len(signs) == 1:
        sign = next(letter for letter in text if letter in _SIGNS)
        return signs.pop(), sign
    words = set(word.replace(",", " ").split())
    word = words.pop() if len(words) == 1 and len(text) < 2000 else word
    if re.fullmatch(rf"{_YES}|{_YES_ZH}|y", word):
        return "Yes", word
    return ("No", word) if re.fullmatch(rf"{_NO}|{_NO_ZH}|n", word) else None


def _declared(text: str) -> Iterator[_Mention | None]:
    """Yield what the text declares as the answer, in order; None for "the answer is not yes"."""
    for match in _DECLARED.finditer(text):
        if match["not"] or match["nozh"]:
            yield None
        elif "would" not in match[0].lower() or not _ONLY_IF.search(
            text, max(0, match.start() - _REACH), match.start()
        ):
            yield _mention(match, next(name for name in ("en", "zh", "zh2", "en2") if match[name]))


def _verdicts(text: str) -> Iterator[_Mention]:
    said = list(_words(text))
    return iter(sorted(said, key=lambda mention: mention.start))


def _words(text: str) -> Iterator[_Mention]:
    for match in _VERDICT.finditer(text):
        mention = _mention(match, "word")
        if not _NEGATED.search(text, max(0, match.start("word") - _REACH), match.start("word")):
            yield mention
        elif match["word"].lower() in _OPPOSED:  # "not correct" is No; "not yes" says nothing
            yield mention._replace(answer="No")
    if not text.isascii():
        for match in _VERDICT_ZH.finditer(text):
            yield _mention(match, "word")


def _counted(plain: Plain, question: str | None) -> Extraction | None:
    """Return what the one sentence says that counts what the question compares."""
    said = [(counted(plain.text[slice(*span)], question or ""), span) for span in sentences(plain.text)[:_FEW]]
    answers = {answer for answer, _ in said if answer}
    if len(answers) != 1 or HEDGE.search(plain.text):
        return None
    span = next(span for answer, span in said if answer)
    return found(answers.pop(), "statement", plain, *_trim(plain.text, *span))


def _there_is(plain: Plain, question: str | None) -> Extraction | None:
    """Return the answer to "Is there a dog?" that a statement about the same thing gives."""
    said = _THERE_IS.match(plain.text)
    asked = _ASKED.match(question or "")
    if (
        not said
        or not asked
        or said["thing"].lower() != asked["thing"].lower()
        or placed_elsewhere(plain.text, question or "")
    ):
        return None
    return found("No" if said["no"] else "Yes", "statement", plain, *_trim(plain.text, *said.span()))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    return end - len(text[start:end].lstrip()), end


def _mention(match: re.Match[str], group: str) -> _Mention:
    return _Mention("No" if match[group].lower() in _NO_WORDS else "Yes", *match.span(group))


def _found(plain: Plain, mention: _Mention, rule: str) -> Extraction:
    return found(mention.answer, rule, plain, mention.start, mention.end)
