"""A chat completion as a server sent it → one answer."""

import json
import re
from collections.abc import Mapping
from typing import Any

from vlmake.backends.base import Output
from vlmake.endpoints.faults import Refusal, TransientError, fault_of, read_refusal
from vlmake.endpoints.keys import Key

_THINKING = ("reasoning_content", "reasoning")
_SHOWN = 120


def read_reply(body: bytes, key: Key, url: str) -> Output:
    """Return the answer in a reply with status 200.

    Raises TransientError for what is no chat completion (HTML of a proxy, cut JSON, no choices), and what ``fault_of``
    finds for an error that hides behind status 200. The text may be empty.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise TransientError(f"200 with something else than JSON: {_start(body)}") from None
    if not isinstance(content, Mapping):
        raise TransientError(f"200 with JSON of another kind: {_start(body)}")
    if content.get("error") and not content.get("choices"):
        raise _hidden_error(content["error"], body, key, url)
    try:
        choice = content["choices"][0]
        message = choice["message"]
        text, refusal = _text(message.get("content")), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TransientError(f"200 without a choice: {_start(body)}") from None
    thinking = next((message[name] for name in _THINKING if isinstance(message.get(name), str)), None)
    reason = choice.get("finish_reason")
    usage = content.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    refused = reason == "content_filter" or bool(refusal and not text.strip())
    return Output(
        text=text if text.strip() or not isinstance(refusal, str) else refusal,
        finish_reason="length" if reason in ("length", "max_tokens") else reason if isinstance(reason, str) else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        thinking=thinking or None,
        refused=refused,
    )


def _text(content: Any) -> str:
    """Return an answer's text: a string, or the text parts of a list; none is empty."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    if content is None:
        return ""
    raise TypeError(type(content).__name__)


def _hidden_error(error: Any, body: bytes, key: Key, url: str) -> Exception:
    """Return what an error inside a reply with status 200 stands for (OpenRouter and some gateways send these)."""
    said = read_refusal(200, body)
    code = error.get("code") if isinstance(error, Mapping) else None
    status = int(code) if isinstance(code, int) or (isinstance(code, str) and re.fullmatch(r"\d{3}", code)) else 500
    refusal = Refusal(status if 400 <= status < 600 else 500, key.hidden_in(said.text), said.codes)
    return fault_of(refusal, {}, key.where(), url)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _start(body: bytes) -> str:
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return text[:_SHOWN] or "nothing"
