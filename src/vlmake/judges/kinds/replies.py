"""The JSON object that is a judge's own reply, and not one that it quotes out of the response before it."""

import re
from typing import Any

from vlmake.extract.strict.reading import spoken_place
from vlmake.judges.kinds.wording import as_data, json_objects, json_reply

_FENCE = re.compile(r"```+[A-Za-z]*|[\s.。;,`]+")


def said(reply: str) -> str:
    """Return a reply without its reasoning; empty where reasoning never ends."""
    place = spoken_place(reply)
    return "" if place is None else reply[slice(*place)].strip()


def own_object(reply: str, response: Any) -> dict[str, Any] | None:
    """Return the JSON object that a reply is, alone, in a fence or among words.

    None for none, for several that differ, and for one among words that stands in the response too: the judge may be
    quoting it.
    """
    text = said(reply)
    found = json_reply(text)
    return None if found is None or (_has_words(text) and _is_quoted(text, response)) else found


def _has_words(text: str) -> bool:
    for start, end, _ in reversed(json_objects(text)):
        text = text[:start] + text[end:]
    return bool(_FENCE.sub("", text))


def _is_quoted(text: str, response: Any) -> bool:
    shown = as_data(response) if isinstance(response, str) else ""
    return any(text[start:end] in shown for start, end, _ in json_objects(text))
