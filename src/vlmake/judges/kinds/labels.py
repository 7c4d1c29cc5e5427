"""The one label that a judge's reply gives: in a JSON object, or as the whole reply. What is not plain is None."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from vlmake.extract.strict.reading import spoken_place
from vlmake.judges.kinds.wording import as_data, json_objects, visible

_ANSWER_TAG = re.compile(r"</?(?:answer|conclusion|final_answer|final)>", re.IGNORECASE)
_KEYS = ("answer", "答案")
# {answer: B}, {'answer': 'B'}, {“answer”: “B”}: no JSON, and yet plain where it is the whole reply.
_NEARLY_JSON = re.compile(r"\{\s*[\"'“”]?(?:answer|答案)[\"'“”]?\s*:\s*([^{},]{1,200}?)\s*,?\s*\}", re.IGNORECASE)
_FENCE = re.compile(r"```+[A-Za-z]*|[\s.。;,`\[\]]+")
_NEXT_LINE = re.compile(r"[\s.。;`\]]*(?:\n|$)")


class Labels(NamedTuple):
    """How the labels of one kind of answer are read.

    Attributes:
        read: Returns the label that a short text is, or None.
        declared: Finds where a text declares a label ("the answer is B"); group ``label`` is the label.
        named: Finds where a text so much as names a label; group ``label`` likewise.
    """

    read: Callable[[str], str | None]
    declared: re.Pattern[str]
    named: re.Pattern[str]


def label_in(reply: str, response: str, labels: Labels) -> str | None:
    """Return the label that a reply gives, or None where it gives none for certain.

    The reply is JSON with an ``answer``, alone, in a fence, behind words or before lines of explanation, or it is a
    bare label. It gives none where its objects differ, where the words declare another label or those behind name one,
    where reasoning or an object breaks off, and where an object among words stands in the response too: the judge may
    be quoting it.
    """
    place = spoken_place(reply := _ANSWER_TAG.sub(" ", _plain(reply)))
    if place is None:
        return None
    said = reply[slice(*place)].strip()
    objects = json_objects(said)
    if not objects:
        nearly = _NEARLY_JSON.fullmatch(_FENCE.sub(" ", said).strip())
        if nearly:
            return labels.read(nearly[1].strip("\"'“” "))
        return None if "{" in said or "}" in said else labels.read(said)
    given = {_given(found, labels) for _, _, found in objects}
    label = given.pop()
    if given or label is None:
        return None
    before, behind = said[: objects[0][0]], said[objects[-1][1] :]
    between = [said[end:start] for (_, end, _), (start, _, _) in pairwise(objects)]
    words = [text for text in (before, *between, behind) if _FENCE.sub("", text)]
    if not words:
        return label
    shown = _plain(as_data(response))
    quoted = any(said[start:end] in shown for start, end, _ in objects)
    others = {labels.read(match["label"]) for text in words for match in labels.declared.finditer(text)}
    others |= {labels.read(match["label"]) for match in labels.named.finditer(behind)}
    return None if quoted or others - {label, None} or not _NEXT_LINE.match(behind) else label


def _plain(text: str) -> str:
    """Return a text with full-width letters made plain, and nothing invisible."""
    return unicodedata.normalize("NFKC", visible(text))


def _given(found: Mapping[str, Any], labels: Labels) -> str | None:
    values = [value for key, value in found.items() if key.strip().lower() in _KEYS]
    return labels.read(values[0]) if len(values) == 1 and isinstance(values[0], str) else None
