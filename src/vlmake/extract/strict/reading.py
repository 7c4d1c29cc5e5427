"""The layers that every strict extractor shares: what the model finally said, in plain characters, with its places.

A strict extractor never guesses: where a careful reader would not be sure, the answer is unresolved and the rule says
why. Places are offsets into the prediction as the model wrote it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.bounds import bounded, with_short_runs
from vlmake.extract.strict.clean import Plain, clean, stripped, unmarked

_PLAIN = re.compile(r"(?!\s*-\s)(?!Q:)[A-Za-z0-9 .,;:!?'()-]*")
_THOUGHTS = r"(?:think|thinking|thought|thoughts|reasoning|reason|reflection|analysis|scratchpad|seed:think)"
_OPEN_THOUGHT = re.compile(
    rf"<\|?{_THOUGHTS}\|?>|◁think▷|<\|begin_of_thought\|>|\[THINK\]|<\|channel\|>analysis<\|message\|>", re.IGNORECASE
)
_CLOSED_THOUGHT = re.compile(
    rf"<(?:/|\|/|/\|){_THOUGHTS}\|?>|◁/think▷|<\|end_of_thought\|>|\[/THINK\]|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_ANSWER_TAG = re.compile(r"<(answer|conclusion|final_answer|final)>(.*?)(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_BULLET = re.compile(r"^[ \t]*[-–][ \t]+", re.MULTILINE)
_TAGS = ("<", "◁", "[THINK]", "[/THINK]")

_SPEAKER = r"(?:(?:human|user|usr|用户|人类)\s*[:：]|#{1,4}\s*(?:human|user|instruction|question)\s*:)"
# The model goes on with a turn of its own making: what stands before is its answer.
_NEXT_TURN = re.compile(
    rf"<\|start_header_id\|>\s*user|<\|im_start\|>\s*user|<\|user\|>|^[ \t>*]*{_SPEAKER}|\[INST\]"
    r"|(?<=[.!?。]\s)(?:Question|问题)\s*\d*\s*[:：](?=[^\n]*\b(?:Answer|A|答案?)\s*[:：])"
    r"|(?<=\n)[ \t]*\**(?:next\s+)?(?:question|q|问题|问)\s*\d*\**\s*[:：]\**",
    re.IGNORECASE | re.MULTILINE,
)
_OWN_TURN = re.compile(
    r"\s*(?:<s>\s*)?(?:<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|im_start\|>\s*assistant\b"
    r"|<\|assistant\|>|\[/INST\]"
    r"|#{1,4}\s*(?:assistant|response|answer|output)\s*:|(?:assistant|gpt|bot|助手|助理|模型)\s*[:：])",
    re.IGNORECASE,
)
# "Q: … A: …": the model repeats what was asked; a list "A: … B: …" is none.
_ASKED_AND_ANSWERED = re.compile(
    r"\s*\**(?:Q|Question|问题?)\**\s*[:：]\**\s*[^\n]{3,600}?(?:[?？]\s*|\n\s*)\**(?:A|Answer"
    r"|答案?)\**\s*[:：]\**(?=\s*\S)(?!.*\bB\s*[:：.)])",
    re.IGNORECASE | re.DOTALL,
)
_OWN_REPLY = re.compile(r"\n[ \t]*(?:#{1,4}\s*)?(?:assistant|gpt|response|助手)\s*[:：]", re.IGNORECASE)

_FIELD = re.compile(
    r"[\"'](?:(?:final|correct|my|selected|chosen|predicted)?[_ ]?(?:answer|option|choice|letter)|prediction"
    r"|result|final|response|conclusion"
    r"|selection|(?:最终|正确)?(?:答案|选项)|结论)[\"']\s*:\s*"
    r"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s\"',{}\[\]]+))",
    re.IGNORECASE,
)
_ONLY_FIELD = re.compile(
    r"\s*\{\s*[\"'][^\"'\n]{1,40}[\"']\s*:\s*(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'"
    r"|(?P<bare>[^\s\"',{}\[\]]+))\s*\}\s*"
)


class Final(NamedTuple):
    """What a prediction says in the end: its cleaned text, with marks, or the reason why there is none."""

    plain: Plain
    problem: str | None = None


@lru_cache(maxsize=8192)
def final_text(prediction: str | None) -> Final:
    """Return the prediction without its reasoning, other speakers' turns, markup and invisible characters.

    Reasoning ends at the last closing tag; an ``<answer>`` tag after it holds the answer. Problems: ``no_prediction``,
    ``empty``, ``truncated`` (a reasoning tag is opened and not closed, so the answer never came).
    """
    nothing = Plain("", range(0))
    if prediction is None:
        return Final(nothing, "no_prediction")
    plain = Plain(prediction, range(len(prediction)))
    if not _PLAIN.fullmatch(prediction) or "Question:" in prediction or _OWN_TURN.match(prediction):
        place = spoken_place(prediction)
        if place is None:
            return Final(nothing, "truncated")
        plain = _without_bullet(clean(_own_turn(bounded(plain.part(*place)))))
    plain = bounded(plain)  # again, for what stood between blanks may be gone
    if not any(map(str.isalnum, plain.text)) and not unmarked(plain).text.strip(" \t\r\n.…,·-_"):
        return Final(nothing, "empty")
    return Final(plain)


def spoken_place(prediction: str) -> tuple[int, int] | None:
    """Return where the answer stands: behind the reasoning, inside an answer tag; None for unclosed reasoning."""
    start, end = 0, len(prediction)
    if any(tag in prediction for tag in _TAGS):
        for closed in _CLOSED_THOUGHT.finditer(prediction):
            start = closed.end()
        if _OPEN_THOUGHT.search(prediction, start):
            return None
        for tag in _ANSWER_TAG.finditer(prediction, start):
            if tag[2].strip():
                start, end = tag.span(2)
    return start, end


def _without_bullet(plain: Plain) -> Plain:
    """Return a text without the dash of a list of one item."""
    bullets = list(_BULLET.finditer(plain.text))
    if len(bullets) != 1 or plain.text[: bullets[0].start()].strip():
        return plain
    return plain.part(bullets[0].end(), len(plain.text))


def _own_turn(plain: Plain) -> Plain:
    """Return the model's own turn, without its name and without the turns that follow it."""
    if own := _OWN_TURN.match(plain.text):
        plain = plain.part(own.end(), len(plain.text))
    if asked := _ASKED_AND_ANSWERED.match(plain.text):
        plain = plain.part(asked.end(), len(plain.text))
    for turn in _NEXT_TURN.finditer(plain.text):
        before = plain.text[: turn.start()].strip()
        if any(map(str.isalnum, before)) and before[-1] not in ":：":
            return plain.part(0, turn.start())
        if not before and (answer := _OWN_REPLY.search(plain.text, turn.end())):
            return _own_turn(plain.part(answer.end(), len(plain.text)))
    return plain


def core(plain: Plain) -> Plain:
    """Return the text without marks and without blanks at its ends."""
    return stripped(with_short_runs(unmarked(plain)))


def last_field(plain: Plain) -> Plain | None:
    """Return the value of the last ``"answer": …`` of JSON in a text, or of the only field of an object."""
    if "{" not in plain.text:
        return None
    fields = list(_FIELD.finditer(plain.text))
    match = fields[-1] if fields else _ONLY_FIELD.fullmatch(plain.text)
    if not match:
        return None
    group = next(name for name in ("double", "single", "bare") if match[name] is not None)
    return plain.part(*match.span(group))
