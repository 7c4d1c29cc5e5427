"""The strict reading of an open answer: the text itself, without its frame."""

import re

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict import core, final_text, last_field
from vlmake.extract.strict_clean import Plain, emphasised, last_box, plain_text, stripped
from vlmake.extract.strict_confidence import found
from vlmake.extract.strict_discourse import CONCLUDES, HEDGE, REFUSAL, after_retraction, breaks_off, sentences
from vlmake.extract.strict_frames import ASKS_WORDS, answer_in
from vlmake.extract.strict_overlap import content, coverage

_FRAME = " \t\r\n\"'“”‘’「」《》.。!！,，;；:："
_OUTER = " \t\r\n.。,，;；:："

# What may stand before an answer. A declaration inside a longer text counts only where a sentence or clause starts.
_DECLARATION = re.compile(
    r"(?:^|(?<=[\n.!?。;:,]))\s*(?:so|thus|therefore|hence|final answer)?[,:]?\s*(?:I\s+(?:think|believe|guess|would\s+say)\s+(?:that\s+)?)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|short)\s+)?answer\s*(?:to the question\s*)?(?:is|would\s+be|should\s+be|must\s+be|:|=)[\s:]*"
    r"|(?:^|(?<=[\n。!?,:]))\s*(?:所以|因此|故)?[,]?\s*(?:最终|正确)?(?:答案|回答|答)(?:应该|应)?(?:是|为|:)[\s:]*",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"(?i:(?:it|this|that|the\s+(?:[\w-]+\s+){0,3}?(?:text|word|words|letters?|sign|image|picture|code|caption|label)"
    r"(?:\s+(?:in|on|of)\s+(?:the|this)\s+[\w-]+)?)\s+"
    r"(?:is|are|says?|reads?|spells?|shows?)\s*(?:written\s+as\s*)?)(?::\s*|(?=[\"'“]|[A-Z0-9]))"
    r"|(?:图中|图片中|图像中|图里)(?:的)?(?:文字|字母|内容|单词)?(?:写着|写的是|显示|显示的是|是|为)[:：]?\s*",
)
_LABELLED = re.compile(r"[ \t]*(?P<label>[^:\n\d\"]{1,40}):[ \t]*(?P<value>[^:\n|][^\n|]{0,200})")
_READ_ALL = re.compile(
    r"\b(?:transcribe|transcription|ocr|read\s+(?:out|all|the\s+text)|all\s+(?:the\s+)?(?:text|words)|what\s+(?:is|are)\s+(?:the\s+)?(?:text|words|written|covered)"
    r"|text\s+in\s+the|recogni[sz]e|expression|formula|latex|restore|markdown|describe|explain|caption)\b|识别|文字|公式|描述|全部内容|恢复",
    re.IGNORECASE,
)
_UNANSWERED = re.compile(
    r"\b(?:is|are|was|it's|isn't|not)\s+(?:not\s+)?(?:possible\s+to|visible\b(?=[^.]{0,30}$)|provided|specified|available|legible|readable|mentioned)"
    r"|\bdoes(?:\s+not|n't)\s+(?:provide|contain|specify|mention|indicate)|\bno\s+information\b|^\W*(?:n/a|none|null|unknown)\W*$|没有(?:提供|显示|给出|标明)|未(?:提供|显示|给出|标明)",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\sor\s|或者?|还是", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|will|would|should|does|do|did|shows?|reads?|says?|seems?|appears?|stands?|contains?|looks?|gives?|lies|holds?|wears?)\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\W*(?:\d+[.)]\s|sure|okay|ok\b|certainly|of\s+course|let(?:'s|\s)|here|to\s|looking|first|based|step|yes\b|no\b|great|thanks|hello|当然|好的|首先|解)",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"^[\U0001f000-\U0001faff\u2600-\u27bf\u2190-\u21ff\s]+|[\U0001f000-\U0001faff\u2600-\u27bf\s]+$")
_GLOSS = re.compile(r"(?P<kept>[^()\u4e00-\u9fff]+?)\s*\([^()]*[\u4e00-\u9fff][^()]*\)|(?P<kept_zh>[^()A-Za-z]+?)\s*\([A-Za-z][^()\u4e00-\u9fff]*\)")
_SENTENCE_LIKE = re.compile(_VERB.pattern + r"|\b\w+'s\s|=|\b(?:costs?|means|measures|weighs|opens|closes|starts|won|count|called|made|labell?ed|points?)\b|[是为叫在有写做示]", re.IGNORECASE)
_CORRECTED = re.compile(r"(?<=[.!?…])\s+no,\s+|\bor\s+rather,?\s", re.IGNORECASE)
_REPEATED = 2  # characters of a question that no bare answer repeats
_IS_SENTENCE = re.compile(
    r"\W*(?:it|he|she|they|there|this|that|these|those|the|a|an|i|we|in|on|from|by|his|her|their)\b[^\n]*\s(?:is|are|was|were|has|have|had|can|could|will|would|does|do"
    r"|did|shows?|reads?|says?|seems?|appears?|contains?|looks?|costs?|means|see|think|believe)\b"
    r"|\W*(?:it's|that's|there's|he's|she's|i'm|i've)\b|(?:图中|图片中|这|那|他|她|它)[\u4e00-\u9fff]{0,12}[是有在为]",
    re.IGNORECASE,
)
_SENTENCE_WORDS = 8  # words from which on a text with a verb is a sentence and no bare answer
_FIRST_WORDS = 7  # words of an answer that stands before its explanation


def read_text(prediction: str | None, question: str | None = None) -> Extraction:
    """Return the answer in a prediction, without the sentence around it; unresolved where no one part is the answer.

    Layers: a box; a field of JSON; what follows the last "the answer is"; a short text as it stands; the first words
    before an explanation; bold text, a quotation or a value behind its label; what a sentence that repeats the
    question says beyond it. Refusals, alternatives, contradictions and texts that break off are unresolved. Where the
    question asks to read out a text, several lines are the answer; else they are none.

    Args:
        prediction: The model's text; None where it gave none.
        question: What was asked; without it only the layers up to the first words see an answer.
    """
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    box = last_box(final.plain)
    if box is not None and (answer := _answer(box, "boxed")):
        return answer
    plain = _without_question(core(final.plain), question)
    if not plain.text:
        return unresolved("empty")
    if field := last_field(plain):
        return _answer(field, "field") if field.text.lower() not in ("null", "none", "") else unresolved("abstained")
    for declared in reversed(list(_DECLARATION.finditer(plain.text))):
        clause = _clause(plain, declared.end())
        if answer := _answer(_without_lead(clause), "declared"):
            return _undisputed(answer, plain, declared.end() + len(clause.text), question)
    return _undeclared(plain, final.plain, question)


def tidy(text: str) -> str:
    """Return a gold text cleaned as answers are, so that both are compared in one form."""
    cleaned = plain_text(text)
    return _bare(Plain(cleaned, range(len(cleaned)))).text or cleaned


def _without_question(plain: Plain, question: str | None) -> Plain:
    """Return the text without the question that it repeats at its start, and a label before the answer."""
    asked = plain_text(question or "")
    label = re.match(r"\s*(?:question|q|问题|问)\s*:\s*", plain.text, re.IGNORECASE)
    start = label.end() if label else 0
    if asked and plain.text[start : start + len(asked)].lower() == asked.lower():
        plain = stripped(plain.part(start + len(asked), len(plain.text)), " \t\r\n")
    return plain


def _clause(plain: Plain, start: int) -> Plain:
    """Return the first line from ``start`` on, up to where a further sentence begins."""
    lead = len(plain.text) - len(plain.text[start:].lstrip())
    spans = sentences(plain.text[lead:].partition("\n")[0])
    return plain.part(lead, lead + spans[0][1]) if spans else plain.part(start, start)


def _undisputed(answer: Extraction, plain: Plain, end: int, question: str | None) -> Extraction:
    """Return a declared answer, unless a sentence behind it answers the question otherwise."""
    for start, stop in sentences(plain.text[end:]):
        said = answer_in(plain.part(end + start, end + stop), question or "")
        if said is None or not question or coverage(content(question), plain.text[end + start : end + stop]) < 0.5:
            continue
        if said.text.lower() not in str(answer.answer).lower() and str(answer.answer).lower() not in said.text.lower():
            return unresolved("contradiction")
    return answer


def _undeclared(plain: Plain, marked: Plain, question: str | None) -> Extraction:
    """Return the answer of a text that declares none."""
    text = plain.text
    spans = sentences(text)
    if repeated := _repeated(plain):
        return repeated
    reads_out = question is None or _READ_ALL.search(question) is not None
    taken_back = after_retraction(text)
    if taken_back is None and (corrected := _CORRECTED.search(text)):
        taken_back = corrected.end()
    if taken_back is not None and not reads_out:
        plain, marked = stripped(plain.part(taken_back, len(text))), plain
        text, spans = plain.text, sentences(plain.text)
    if REFUSAL.search(text) or _UNANSWERED.search(text) or (HEDGE.search(text) and len(spans) < 3 and not reads_out):
        return unresolved("refusal")
    if _is_cut(text, spans):
        return unresolved("truncated")
    if question is None:
        return _answer(_without_lead(plain), "whole_text") or unresolved("empty")
    if len(spans) == 1 and (labelled := _labelled(plain, question)):
        return labelled
    if len(spans) == 1 and _is_short(text):
        if framed := _framed(plain, question):
            return framed
        bare = _without_lead(plain)
        if bare is plain and not reads_out and _IS_SENTENCE.match(text) and not ASKS_WORDS.search(question):
            return unresolved("sentence")
        return _answer(bare, "short_text") or unresolved("empty")
    if len(spans) > 1 and _is_bare(text[slice(*spans[0])]) and "\n|" not in text and not text.startswith(("|", "-")):
        first = plain.part(*spans[0])
        rest = text[spans[0][1] :]
        if (len(rest.split()) > len(first.text.split()) or not rest.isascii()) and not content(first.text) <= content(question):
            return _answer(first, "first_words") or unresolved("empty")
    return _closing(plain, question) or _restated(plain, marked, question) or _whole(plain, question, reads_out)


def _closing(plain: Plain, question: str) -> Extraction | None:
    """Return a short last line that a heading or a line ending in a colon announces."""
    lines = [match.span() for match in re.finditer(r"[^\n]*\S[^\n]*", plain.text)]
    if len(lines) < 2 or not _is_bare(plain.text[slice(*lines[-1])]) or plain.text[lines[-1][0]] in "|-":
        return None
    before = plain.text[slice(*lines[-2])].strip()
    heading = content(before) and content(before) <= content(question)
    return _answer(plain.part(*lines[-1]), "labelled") if before.endswith(":") or heading else None


def _whole(plain: Plain, question: str, reads_out: bool) -> Extraction:
    answer = _answer(_without_lead(plain), "full_text" if reads_out else "whole_text") or unresolved("empty")
    if reads_out or (len(sentences(plain.text)) == 1 and not _VERB.search(plain.text)):
        return answer
    return unresolved("several_sentences" if len(sentences(plain.text)) > 1 else "sentence")


def _restated(plain: Plain, marked: Plain, question: str) -> Extraction | None:
    """Return the answer of the concluding, the last or the first sentence that speaks of what was asked."""
    text = plain.text
    spans = sentences(text)
    bold = [piece for piece in emphasised(marked) if piece.places[0] >= plain.places[0]]
    asked = content(question)
    best: list[tuple[float, int, Plain, str]] = []
    for place, (start, end) in enumerate(spans):
        sentence = plain.part(start, end)
        if HEDGE.search(sentence.text) or sentence.text.rstrip().endswith((":", "?")) or sentence.text.lstrip().startswith("|"):
            continue
        inside = [piece for piece in bold if sentence.places[0] <= piece.places[0] <= sentence.places[-1]]
        said, rule = answer_in(sentence, question, alone=len(spans) == 1), "restated"
        if len(inside) == 1 and content(inside[0].text) - asked | ({"1"} if not content(inside[0].text) else set()):
            said, rule = stripped(inside[0], _FRAME), "emphasised"
        if said is None and (labelled := _LABELLED.fullmatch(sentence.text.strip("- ."))) and coverage(asked, labelled["label"]) > 0:
            offset = sentence.text.index(labelled["value"], sentence.text.index(":"))
            said, rule = sentence.part(offset, offset + len(labelled["value"])), "labelled"
        concludes = CONCLUDES.match(sentence.text.strip()) is not None
        if concludes and said is None and place == len(spans) - 1:
            return None  # the conclusion says something else than the sentences before
        if said is not None and said.text:
            weight = coverage(asked, sentence.text) + concludes + (0.5 if place == len(spans) - 1 else 0.2 if not place else 0)
            best.append((weight, place, said, rule))
    if not best:
        return None
    weight, _, said, rule = max(best, key=lambda entry: entry[:2])
    if _ALTERNATIVES.search(said.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    rivals = {entry[2].text.lower() for entry in best if entry[0] >= weight - 0.35 and entry[3] != "labelled"}
    if weight < 0.5 or (len(rivals) > 1 and len(spans) <= 3 and weight < 1.4):
        return unresolved("several_answers")
    return _answer(said, rule)


def _framed(plain: Plain, question: str) -> Extraction | None:
    """Return the answer of a short text that repeats its question ("Room 906", "It means exit")."""
    like = _SENTENCE_LIKE.search(plain.text) is not None or _says_chinese(plain.text, question) or "%" in plain.text
    said = answer_in(plain, question, alone=True) if like else None
    if said is None and (lead := re.match(r"[A-Za-z]+\s+(?=\S*\d)", plain.text)) and content(lead[0]) <= content(question):
        said = plain.part(lead.end(), len(plain.text))
    if said is not None and _ALTERNATIVES.search(said.text) and not _ALTERNATIVES.search(question):
        return unresolved("several_answers")
    return _answer(said, "restated") if said is not None and said.text else None


def _says_chinese(text: str, question: str) -> bool:
    """Return whether a Chinese text repeats enough of its question to be a sentence about it."""
    return sum("\u4e00" <= word <= "\u9fff" for word in content(text) & content(question)) >= _REPEATED


def _labelled(plain: Plain, question: str) -> Extraction | None:
    """Return the value in "Key: value" where the question names the key, or its initials."""
    match = _LABELLED.fullmatch(plain.text)
    if not match:
        return None
    label = match["label"].strip()
    initials = "".join(word[0] for word in re.findall(r"[A-Za-z]+", question)).lower()
    named = content(label) and content(label) <= content(question)
    if not named and not (label.isupper() and len(label) in (2, 3) and label.lower() in initials):
        return None
    return _answer(plain.part(*match.span("value")), "labelled")


def _repeated(plain: Plain) -> Extraction | None:
    """Return the word that a text says over and over."""
    words = plain.text.split()
    if len(words) < 4 or len({word.lower().strip(_FRAME) for word in words}) != 1:
        return None
    return _answer(plain.part(0, len(words[0])), "short_text")


def _is_short(text: str) -> bool:
    """Return whether a text is short enough to be a bare answer, or a sentence that gives one."""
    words = len(text.split())
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
    return "\n" not in text.strip() and (words < _SENTENCE_WORDS and han <= 14) or (not _VERB.search(text) and words <= 20 and han <= 4)


def _is_bare(first: str) -> bool:
    """Return whether a first sentence is an answer on its own: a few words and no verb."""
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in first)
    return len(first.split()) <= _FIRST_WORDS and not _NO_ANSWER.match(first) and not _VERB.search(first) and han <= 8 and not re.search("[是为:]", first)


def _is_cut(text: str, spans: list[tuple[int, int]]) -> bool:
    """Return whether a text stops in the middle of a sentence; a list of words has no verb, and need not end."""
    if breaks_off(text):
        han = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
        return _VERB.search(text) is not None or han >= 12 or text.rstrip()[-1] in "+=×("
    return len(spans) == 1 and _unfinished(text)


def _unfinished(text: str) -> bool:
    return re.search(r"(?:\b(?:is|are|was|reads|says|the|a|of|to)|[是为])\s*$", text) is not None and len(text.split()) + (not text.isascii()) * 5 > 3


def _without_lead(plain: Plain) -> Plain:
    lead = _LEAD.match(plain.text)
    return plain.part(lead.end(), len(plain.text)) if lead else plain


def _bare(plain: Plain) -> Plain:
    """Return a text without outer quotes and final punctuation; a quoted text keeps its own."""
    kept = stripped(plain, _OUTER)
    text = kept.text
    if len(text) > 2 and text[0] in "\"'「《“‘" and text[-1] in "\"'」》”’":
        inner = text[1:-1]
        if not any(mark in inner for mark in "\"「《“"):
            return stripped(kept.part(1, len(text) - 1))
    return stripped(plain, _FRAME)


def _without_gloss(plain: Plain) -> Plain:
    """Return a text without pictograms around it and without its translation in brackets."""
    plain = stripped(plain)
    if not plain.text.isascii():
        for match in list(_PICTURE.finditer(plain.text))[::-1]:
            if len(match[0]) < len(plain.text):
                plain = plain.part(match.end(), len(plain.text)) if match.start() == 0 else plain.part(0, match.start())
        if gloss := _GLOSS.fullmatch(plain.text):
            plain = plain.part(*gloss.span("kept" if gloss["kept"] else "kept_zh"))
    return plain


def _answer(plain: Plain, rule: str) -> Extraction | None:
    """Return the tidied text as the answer; None when nothing is left."""
    kept = _bare(_without_gloss(plain))
    if not kept.text:  # an answer that is punctuation alone, such as "?"
        kept = stripped(plain)
    if not kept.text:
        return None
    return found(" ".join(kept.text.split()), rule, kept, 0, len(kept.text))
