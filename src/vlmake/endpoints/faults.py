"""What a server's refusal means: try again, give up this request, or stop asking altogether."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vlmake.errors import VlmakeError

_TOO_MANY = 429
_AGAIN = frozenset({408, 409, 425, _TOO_MANY})
_FORBIDDEN = 403
_NOT_ALLOWED = frozenset({401, _FORBIDDEN})
_NOT_FOUND = frozenset({404, 405})
# Codes and types that servers give: OpenAI, DashScope, Zhipu (docs.bigmodel.cn/cn/faq/api-code), Volcengine, Moonshot.
_QUOTA_CODES = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"),
        *("credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded"),
        *("organization_usage_limit_exceeded", "Arrearage", "AccountOverdueError", "SetLimitExceeded", "QuotaExceeded"),
        *("1110", "1111", "1112", "1113", "1121", "1304", "1308", "1309", "1310", "exceeded_current_quota_error"),
    }
)
_QUOTA_TEXTS = (
    "exceeded your current quota",
    "insufficient_quota",
    "insufficient balance",
    "account is in arrears",
    "free allocated quota exceeded",
    "credit balance is too low",
)
_A_DAY = "PerDay"  # in the name of a quota of Gemini's
_NONE_AT_ALL = re.compile(r"\blimit: 0\b")
# DashScope and Gemini have OpenAI's words and code of an empty account for limits a minute, with these beside them.
_PASSING = re.compile(r"#token-limit\b|\bplease retry in \d")
_ASKED_WAIT = re.compile(r"\b(?:retry|try again) in (?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)(m?s))?")
_KEY_TEXTS = ("api key not valid",)  # Gemini's 400
_FILTER_CODES = frozenset(
    {"content_filter", "content_policy_violation", "data_inspection_failed", "DataInspectionFailed", "1301"}
)
_FILTER_PART = "SensitiveContentDetected"  # Volcengine: InputImageSensitiveContentDetected and others
_FILTER_TEXTS = ("content violates usage guidelines", "your input was flagged")  # 403 of xAI, of OpenRouter
# What an API's refusal speaks of that concerns all requests, unless it speaks of something that one of them sent.
_OF_ALL = re.compile(
    r"model|deployment|api.?key|credential|permission|account|organi[sz]ation|project|subscription|country|region"
    r"|\u6a21\u578b|\u5bc6\u94a5|\u6743\u9650",
    re.IGNORECASE,
)
_OF_ONE = re.compile(r"image|picture|url|file|prompt|content|input|\u56fe", re.IGNORECASE)
_LONGEST_WAIT_S = 900.0  # a server that asks for more will not answer within this run
_SHOWN = 300
_READ = 4000


class TransientError(Exception):
    """It may go well another time.

    ``status`` is the reply's, ``retry_after`` the wait in seconds that it asks for. ``reached`` is false where there
    was no connection.
    """

    def __init__(
        self, reason: str, status: int | None = None, retry_after: float | None = None, *, reached: bool = True
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        self.reached = reached


class RejectedError(Exception):
    """The server does not take this request, however often it is sent; tokens are those of answers that were empty."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class FilteredError(Exception):
    """The server's content filter refused the request or the answer."""


class ServerGoneError(Exception):
    """The server's process has ended."""


class EndpointStoppedError(VlmakeError):
    """Nothing more can be asked of this server until the user mends something.

    ``whole_account`` says that every model behind the same address and key is stopped too. ``refused`` is there where
    the sample alone may be the reason: what it was refused with.
    """

    def __init__(self, message: str, *, whole_account: bool = False, refused: str | None = None) -> None:
        super().__init__(message)
        self.whole_account = whole_account
        self.refused = refused


class LimitReachedError(EndpointStoppedError):
    """The server answers, and the user's own limit on money lets nothing more be asked."""


@dataclass(frozen=True)
class Refusal:
    """A reply other than 200, read: the server's own words, and its machine-readable codes if it gave any.

    ``is_api`` says that it is an error as APIs write them, and not the page of a proxy or firewall.
    """

    status: int
    text: str
    codes: frozenset[str] = frozenset()
    is_api: bool = False

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.text[:_SHOWN]}" if self.text else f"HTTP {self.status}"


def read_refusal(status: int, body: bytes) -> Refusal:
    """Return what a refusing reply says; JSON in the shapes of OpenAI, Gemini and FastAPI, else its first text."""
    text = " ".join(body.decode("utf-8", "replace").split())[:_READ]
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(status, text)
    if isinstance(content, list) and len(content) == 1:  # Gemini's
        content = content[0]
    said: Any = content.get("error", content) if isinstance(content, Mapping) else content
    if isinstance(said, Mapping):
        message = said.get("message") or said.get("detail") or text
        is_api = "error" in content or bool({"message", "detail"} & said.keys())
        return Refusal(status, " ".join(str(message).split())[:_READ], _codes(said), is_api)
    return Refusal(
        status, " ".join(said.split())[:_READ] if isinstance(said, str) else text, is_api=said is not content
    )


def _codes(said: Mapping[str, Any]) -> frozenset[str]:
    """Return what names an error: its code, type and status, and the quotas that it passed (Gemini's details)."""
    details = said.get("details")
    of_mappings = [detail for detail in details if isinstance(detail, Mapping)] if isinstance(details, list) else []
    listed = [detail["violations"] for detail in of_mappings if isinstance(detail.get("violations"), list)]
    passed = [one for violations in listed for one in violations if isinstance(one, Mapping)]
    names = [said.get("code"), said.get("type"), said.get("status"), *(one.get("quotaId") for one in passed)]
    return frozenset(str(name) for name in names if isinstance(name, str | int) and name)


def fault_of(refusal: Refusal, headers: Mapping[str, str], key: str, url: str) -> Exception:
    """Return the exception that a refusing reply stands for.

    ``key`` and ``url`` are how the message names them: the variable, and the address without secrets.
    """
    status = refusal.status
    if _is_filter(refusal):
        return FilteredError(refusal.text[:_SHOWN])
    if status == 402 or _is_quota(refusal):
        return EndpointStoppedError(
            f"{url}: the quota of {key} is used up ({refusal}); the same command goes on later",
            whole_account=not any(_A_DAY in code for code in refusal.codes) and not _NONE_AT_ALL.search(refusal.text),
        )
    if status in _NOT_ALLOWED or (status == 400 and any(text in refusal.text.lower() for text in _KEY_TEXTS)):
        return EndpointStoppedError(
            f"{url} does not accept {key} ({refusal}): set it right, then run the same again",
            whole_account=status != _FORBIDDEN,
            refused=_of_the_sample(refusal) if status == _FORBIDDEN else None,
        )
    if status in _AGAIN or status >= 500:
        wait = retry_after(headers)
        if wait is None and status == _TOO_MANY:
            wait = _wait_asked_in(refusal.text)
        if wait is not None and wait > _LONGEST_WAIT_S:
            return EndpointStoppedError(f"{url} asks to wait {wait / 60:.0f} min ({refusal}); run the same again then")
        return TransientError(str(refusal), status, wait)
    if status in _NOT_FOUND or 300 <= status < 400:
        return EndpointStoppedError(
            f"{url} has no such model or address ({refusal}): check `api_base` and the model",
            refused=_of_the_sample(refusal),
        )
    return RejectedError(str(refusal))


def _of_the_sample(refusal: Refusal) -> str | None:
    """Return a refusal's words where the sample alone may be the reason for it; None where the key or the model is.

    A firewall in front of the API forbids single prompts with a page of its own, and an API may look for an image.
    """
    words = f"{refusal.text} {' '.join(refusal.codes)}"
    is_of_all = refusal.is_api and _OF_ALL.search(words) and not _OF_ONE.search(words)
    return None if is_of_all else str(refusal)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait in seconds that the headers ask for (seconds, milliseconds or a date, RFC 9110 10.2.3)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * scale
        except ValueError:
            seconds = math.nan
        if math.isfinite(seconds):
            return max(0.0, seconds)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return None


def _wait_asked_in(text: str) -> float | None:
    """Return the wait in seconds that a refusal's words ask for (Gemini: retry in 33.8s; OpenAI: try again in 1m2s)."""
    found = _ASKED_WAIT.search(text.lower())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, number, unit = found.groups()
    try:
        seconds = float(number or 0) * (0.001 if unit == "ms" else 1.0)
    except ValueError:
        return None
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds


def _is_filter(refusal: Refusal) -> bool:
    """Tell whether a content filter refused; it says so with a 400 or 403, or inside a reply with status 200."""
    if refusal.codes & _FILTER_CODES or any(_FILTER_PART in code for code in refusal.codes):
        return True
    return refusal.status == 403 and any(text in refusal.text.lower() for text in _FILTER_TEXTS)


def _is_quota(refusal: Refusal) -> bool:
    text = refusal.text.lower()
    if any(_A_DAY in code for code in refusal.codes):
        return True
    if refusal.status == _TOO_MANY and _PASSING.search(text) and not _NONE_AT_ALL.search(text):
        return False
    return bool(refusal.codes & _QUOTA_CODES) or (
        refusal.status in (400, _TOO_MANY) and any(words in text for words in _QUOTA_TEXTS)
    )
