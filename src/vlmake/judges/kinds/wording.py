"""What judges are shown and how their replies are opened: model text as data, one message, one JSON object."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from vlmake.extract.strict.reading import spoken_place

LONGEST = 8_000
"""Characters of a model's text that a judge is shown; a longer one loses its middle."""

_HEAD, _TAIL = 2_000, 6_000
_LONGEST_REPLY = 50_000  # characters; no reply that keeps to its token limit comes near
# Special tokens of chat templates by their forms, so that no list of models has to be kept: <|im_end|>, <｜User｜>,
# <[begin▁of▁sentence]>, </s>, <start_of_turn>, <seed:bos>, [INST], [gMASK], ]~b], ◁think▷. Full-width brackets count:
# some tokenizers make them plain first.
_TOKEN_PARTS = re.compile(
    r"(?<=[<＜])(?=[|｜\[［])|(?<=[|｜\]］])(?=[>＞])"
    r"|(?<=[<＜])(?=[/／]?[\w▁:=.-]{1,60}[>＞])"
    r"|(?<=[\[［])(?=[/／]?[^\W\d][\w▁-]{1,60}[\]］])"
    r"|(?<=[\[\]])(?=~)|(?<=~)(?=[\[\]])|(?<=◁)(?=\S)"
)
# What JSON leaves as it is though it may end a line, or cannot be sent as UTF-8.
_NOT_ON_A_LINE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def as_data(text: str) -> str:
    """Return a model's text as a judge is shown it, for a JSON string of the prompt.

    The part that strict extractors read: without reasoning, and empty where reasoning never ends; invisible characters
    left out, special tokens of chat templates broken by a blank. Of more than ``LONGEST`` characters the first 2,000
    and the last 6,000 are kept, with a mark between.
    """
    place = spoken_place(text)
    if place is None:
        return ""
    shown = without_tokens(text[slice(*place)]).strip()
    if len(shown) <= LONGEST:
        return shown
    return f"{shown[:_HEAD]}\n[… {len(shown) - _HEAD - _TAIL} characters left out …]\n{shown[-_TAIL:]}"


def without_tokens(text: str) -> str:
    """Return a text without invisible characters, in which no special token of a chat template is whole."""
    return _TOKEN_PARTS.sub(" ", visible(text))


def visible(text: str) -> str:
    """Return a text without the characters that are not drawn."""
    return text if text.isascii() else "".join(letter for letter in text if not _is_invisible(letter))


def prompt_of(instructions: str, data: Mapping[str, Any]) -> str:
    """Return one message: the instructions, an empty line, and the data as one line of JSON."""
    line = json.dumps(data, ensure_ascii=False)
    line = _NOT_ON_A_LINE.sub(lambda match: rf"\u{ord(match[0]):04x}", line)
    return f"{instructions}\n\n{line}"


def json_reply(reply: str) -> dict[str, Any] | None:
    """Return the JSON object in a reply, be it in a fence or among words; None for none, or several that differ."""
    objects = [found for _, _, found in json_objects(reply)]
    return objects[0] if objects and all(found == objects[0] for found in objects) else None


def json_objects(reply: str) -> list[tuple[int, int, dict[str, Any]]]:
    """Return the outermost JSON objects in a reply with their places, in order.

    Braces that hold no JSON are passed over. Behind a brace that is still open nothing counts: what looks like an
    object there may be part of another one, which was cut off. A key that an object says twice, with different values,
    has the value None.
    """
    objects: list[tuple[int, int, dict[str, Any]]] = []
    last, depth = 0, 0  # where the text was counted up to, and how many of its braces are open there
    start = reply.find("{") if len(reply) <= _LONGEST_REPLY else -1
    while start >= 0:
        depth = max(0, depth - reply.count("}", last, start))
        try:
            found, end = _DECODER.raw_decode(reply, start)
        except RecursionError:
            return []  # thousands of braces in one another: no reply, and slow to look through
        except ValueError:
            depth, end = depth + 1, start + 1
        else:
            if not depth:
                objects.append((start, end, found))
        last, start = end, reply.find("{", end)
    return objects


def _is_invisible(letter: str) -> bool:
    """Return whether a character is not drawn: zero-width ones, marks of direction, tags, variation selectors."""
    return (
        unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        values[key] = value if values.get(key, value) == value else None
    return values


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
