"""A chat completion as a server sent it → one answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlmake.backends.base import Output
from vlmake.endpoints.faults import TransientError, fault_of, read_refusal
from vlmake.endpoints.keys import Key

_THINKING = ("reasoning_content", "reasoning")
_CUT = frozenset({"length", "max_tokens", "model_context_window_exceeded"})
_FILTERED = frozenset(  # OpenAI's, Zhipu's, and Gemini's own, which its compatible address hands through
    {"content_filter", "sensitive", "safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety"}
)
_BROKEN_OFF = frozenset({"error", "abort", "network_error", "insufficient_system_resource"})  # half an answer is none
_MOST_TOKENS = 2**31 - 1  # what the tables of predictions hold; a larger count is none
_SHOWN = 120
_READ = 4000


def read_reply(body: bytes, key: Key, url: str) -> Output:
    """Return the answer in a reply with status 200.

    Raises TransientError for what is no chat completion (HTML of a proxy, cut JSON, no choices) and for an answer that
    the server broke off, and what ``fault_of`` finds for an error that hides behind status 200. The text may be empty.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise TransientError(f"200 with something else than JSON: {_start(body, key)}") from None
    if not isinstance(content, Mapping):
        raise TransientError(f"200 with JSON of another kind: {_start(body, key)}")
    if content.get("error") and not content.get("choices"):
        raise _hidden_error(content["error"], body, key, url)
    try:
        choice = content["choices"][0]
        if choice.get("error"):
            raise _hidden_error(choice["error"], json.dumps(choice).encode(), key, url)
        message = choice["message"]
        text, refusal = _text(message.get("content")), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TransientError(f"200 without a choice: {_start(body, key)}") from None
    thinking = next((message[name] for name in _THINKING if isinstance(message.get(name), str)), None)
    reason = choice.get("finish_reason") if isinstance(choice.get("finish_reason"), str) else None
    kind = reason.lower().partition(":")[0] if reason else None
    if kind in _BROKEN_OFF:
        raise TransientError(f"200 with an answer that the server broke off (finish_reason {kind})")
    usage = content.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    refused = kind in _FILTERED or bool(refusal and not text.strip())
    return Output(
        text=key.hidden_in_answer(text if text.strip() or not isinstance(refusal, str) else refusal),
        finish_reason="length" if kind in _CUT else key.hidden_in(reason) if reason else reason,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        thinking=key.hidden_in_answer(thinking) if thinking else None,
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
    refusal = replace(said, status=status if 400 <= status < 600 else 500, text=key.hidden_in(said.text))
    return fault_of(refusal, {}, key.where(), url)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def _start(body: bytes, key: Key) -> str:
    """Return how a reply begins, in one line; a page that shows the request's headers shows no key."""
    text = " ".join(body[:_READ].decode("utf-8", "replace").split())
    return key.hidden_in(text)[:_SHOWN] or "nothing"
