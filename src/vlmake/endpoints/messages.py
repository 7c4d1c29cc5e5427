"""A request as the JSON body of a chat completion, its images as data URIs of their original bytes."""

import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pybase64
from PIL import Image

from vlmake.backends.base import Request, Turn
from vlmake.data.images import open_as_stored

_SIGNATURES = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)


@dataclass(frozen=True)
class Wording:
    """How a server is asked: the model's id, sampling, and what else its body has.

    ``limit_key`` is the name under which the server takes the longest answer in tokens. ``longest_side`` makes larger
    images smaller and sends all as JPEG (VLMEvalKit's ``img_size``, vlmeval/smp/vlm.py); None: the original bytes.
    ``image_detail`` is OpenAI's ``detail`` of an image.
    """

    model: str
    temperature: float | None = 0.0
    system: str | None = None
    limit_key: str = "max_tokens"
    longest_side: int | None = None
    image_detail: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def body_of(request: Request, wording: Wording) -> bytes:
    """Return the body of one request, UTF-8.

    Images are put in behind the encoding as JSON, which would look at each of their characters.
    """
    mark = secrets.token_hex(16)
    detail = {} if wording.image_detail is None else {"detail": wording.image_detail}
    image = {"type": "image_url", "image_url": {"url": mark} | detail}
    messages: list[dict[str, Any]] = [{"role": "system", "content": wording.system}] if wording.system else []
    messages += [{"role": turn.role, "content": _content(turn, image)} for turn in request.turns]
    content = {"model": wording.model, "messages": messages, wording.limit_key: request.max_new_tokens}
    if wording.temperature is not None:
        content["temperature"] = wording.temperature
    if request.reply_schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(request.reply_schema)}
        content["response_format"] = {"type": "json_schema", "json_schema": schema}
    text = json.dumps(content | dict(wording.extra), ensure_ascii=False).encode("utf-8", "replace")
    first, *rest = text.split(mark.encode("ascii"))
    shown = [part["image"] for turn in request.turns for part in turn.parts if part["type"] == "image"]
    uris = [_data_uri(request.images[digest], wording.longest_side) for digest in shown]
    return b"".join([first, *chain.from_iterable(zip(uris, rest, strict=True))])


def media_type(data: bytes) -> str:
    """Return the media type of an image by its first bytes; ``application/octet-stream`` for an unknown kind."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _SIGNATURES if data.startswith(mark)), "application/octet-stream")


def _content(turn: Turn, image: Mapping[str, Any]) -> str | list[dict[str, Any]]:
    """Return a turn's content: text alone as a string, which every server takes, else its parts in order."""
    parts: Sequence[Mapping[str, str]] = turn.parts
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return [{"type": "text", "text": part["text"]} if part["type"] == "text" else dict(image) for part in parts]


def _data_uri(data: bytes, longest_side: int | None) -> bytes:
    if longest_side is not None:
        data = _smaller(data, longest_side)
    return b"data:%s;base64,%s" % (media_type(data).encode("ascii"), pybase64.b64encode(data))


def _smaller(data: bytes, longest_side: int) -> bytes:
    """Return an image as JPEG, no side longer than ``longest_side`` pixels."""
    image: Image.Image = open_as_stored(data)
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    image.thumbnail((longest_side, longest_side))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG")
    return buffer.getvalue()
