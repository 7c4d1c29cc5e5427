"""What a server's refusal means: try again, give up this request, or stop asking altogether."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vlmake.errors import VlmakeError

_AGAIN = frozenset({408, 409, 425, 429})
_NOT_ALLOWED = frozenset({401, 403})
_NOT_FOUND = frozenset({404, 405})
_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated", "Arrearage", "1113"}
)
_QUOTA_TEXTS = ("exceeded your current quota", "insufficient_quota", "insufficient balance", "account is in arrears")
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "data_inspection_failed", "1301"})
_LONGEST_WAIT_S = 900.0  # a server that asks for more will not answer within this run
_SHOWN = 300


class TransientError(Exception):
    """It may go well another time. ``status`` is the reply's, ``retry_after`` the wait in seconds that it asks for."""

    def __init__(self, reason: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


class RejectedError(Exception):
    """The server does not take this request, however often it is sent."""


class FilteredError(Exception):
    """The server's content filter refused the request or the answer."""


class ServerGoneError(Exception):
    """The server's process has ended."""


class EndpointStoppedError(VlmakeError):
    """Nothing more can be asked of this server until the user mends something."""


@dataclass(frozen=True)
class Refusal:
    """A reply other than 200, read: the server's own words, and its machine-readable code if it gave one."""

    status: int
    text: str
    code: str

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.text}" if self.text else f"HTTP {self.status}"


def read_refusal(status: int, body: bytes) -> Refusal:
    """Return what a refusing reply says; JSON in the shapes of OpenAI and FastAPI, else its first text."""
    text = " ".join(body.decode("utf-8", "replace").split())
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(status, text[:_SHOWN], "")
    said: Any = content.get("error", content) if isinstance(content, Mapping) else content
    if isinstance(said, Mapping):
        message = said.get("message") or said.get("detail") or text
        return Refusal(status, " ".join(str(message).split())[:_SHOWN], str(said.get("code") or said.get("type") or ""))
    return Refusal(status, str(said)[:_SHOWN] if isinstance(said, str) else text[:_SHOWN], "")


def fault_of(refusal: Refusal, headers: Mapping[str, str], key: str, url: str) -> Exception:
    """Return the exception that a refusing reply stands for.

    ``key`` and ``url`` are how the message names them: the variable, and the address without secrets.
    """
    status = refusal.status
    if status in _NOT_ALLOWED:
        return EndpointStoppedError(f"{url} does not accept {key} ({refusal}): set it right, then run the same again")
    if status == 402 or _is_quota(refusal):
        return EndpointStoppedError(f"{url}: the quota of {key} is used up ({refusal}); the same command goes on later")
    if status in _AGAIN or status >= 500:
        wait = retry_after(headers)
        if wait is not None and wait > _LONGEST_WAIT_S:
            return EndpointStoppedError(f"{url} asks to wait {wait / 60:.0f} min ({refusal}); run the same again then")
        return TransientError(str(refusal), status, wait)
    if status in _NOT_FOUND or 300 <= status < 400:
        return EndpointStoppedError(f"{url} has no such model or address ({refusal}): check `api_base` and the model")
    if refusal.code in _FILTER_CODES:
        return FilteredError(refusal.text)
    return RejectedError(str(refusal))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait in seconds that the headers ask for (seconds, milliseconds or a date, RFC 9110 10.2.3)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            return max(0.0, float(text) * scale)
        except ValueError:
            pass
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return None


def _is_quota(refusal: Refusal) -> bool:
    if refusal.code in _QUOTA_CODES:
        return True
    return refusal.status in (400, 429) and any(text in refusal.text.lower() for text in _QUOTA_TEXTS)
