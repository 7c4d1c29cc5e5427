"""What a server's refusals and replies are taken for."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from vlmake.backends.base import Output
from vlmake.endpoints.faults import (
    EndpointStoppedError,
    FilteredError,
    RejectedError,
    TransientError,
    fault_of,
    read_refusal,
    retry_after,
)
from vlmake.endpoints.keys import Key
from vlmake.endpoints.reply import read_reply
from vlmake.inference.shard import Asking, make_question, prediction

SECRET = "sk-live-0a1b2c3d4e5f6071"


# Refusals

Body = dict[str, Any] | list[Any] | str


def fault(status: int, body: Body, **headers: str) -> Exception:
    data = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
    return fault_of(
        read_refusal(status, data), {name.replace("_", "-"): text for name, text in headers.items()}, "KEY", "URL"
    )


def error(message: str, **more: Any) -> Body:
    return {"error": {"message": message, **more}}


GEMINI_WORDS = "You exceeded your current quota, please check your plan and billing details." + " Read on." * 40


def gemini(message: str, quota: str = "") -> Body:
    details = [{"@type": "QuotaFailure", "violations": [{"quotaId": quota}]}] if quota else []
    return [{"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, error("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota")),
        (429, error("No credits are left.", type="insufficient_quota", code="credit_balance_exhausted")),
        (429, error("The project's limit.", type="tokens", code="project_spend_limit_exceeded")),
        (402, error("Insufficient Balance", type="unknown_error", code="invalid_request_error")),
        (400, error("Access denied, please make sure your account is in good standing.", code="Arrearage")),
        (429, error("Free allocated quota exceeded.", code="Throttling.AllocationQuota")),
        (429, error("您的账户已欠费，请充值后重试", code="1113")),
        (429, error("该 API 已达今日调用次数限额", code=1304)),
        (403, error("The account has an overdue balance", code="AccountOverdueError")),
        (429, error("Your account is suspended", type="exceeded_current_quota_error")),
        (400, error("Your credit balance is too low to access the Anthropic API.", type="invalid_request_error")),
        (429, gemini(f"{GEMINI_WORDS} limit: 20. Please retry in 18s.", "RequestsPerDayPerProjectPerModel-FreeTier")),
        (429, gemini(f"{GEMINI_WORDS} limit: 0, model: x. Please retry in 18s.")),
        (429, "insufficient_quota"),
    ],
)  # fmt: skip
def test_an_empty_account_stops_everything(status: int, body: Body) -> None:
    stopped = fault(status, body)
    assert isinstance(stopped, EndpointStoppedError)
    assert "the quota of KEY is used up" in str(stopped)


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (error("Rate limit reached for requests", code="rate_limit_exceeded"), {}, None),
        (error("Rate limit reached. Please try again in 1m2.5s."), {}, 62.5),
        (error("Rate limit reached. Please try again in 6ms."), {}, 0.006),
        (error("Rate limit reached. Please try again in 20s.", code="slow_down"), {"retry_after": "2"}, 2.0),
        (gemini(f"{GEMINI_WORDS} limit: 1000000, model: x\nPlease retry in 33.8s.", "TokensPerMinute"), {}, 33.8),
        (error("You exceeded your current quota. See https://help.aliyun.com/error-code#token-limit",
               type="insufficient_quota", code="insufficient_quota"), {}, None),
        (error("Allocated quota exceeded, please increase your limit.", code="Throttling.AllocationQuota"), {}, None),
        (error("您的账户已达到速率限制，请您控制请求频率", code="1302"), {}, None),
        ({"detail": "Too many requests"}, {}, None),
        ("<html>slow down</html>", {}, None),
        ("", {}, None),
    ],
)  # fmt: skip
def test_a_limit_a_minute_passes_by(body: Body, headers: dict[str, str], wait: float | None) -> None:
    passing = fault(429, body, **headers)
    assert isinstance(passing, TransientError)
    assert (passing.status, passing.retry_after) == (429, wait)
    assert len(str(passing)) < 330


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
def test_a_server_in_trouble_is_asked_again(status: int) -> None:
    assert isinstance(fault(status, error("busy")), TransientError)


def test_a_wait_of_hours_stops_everything() -> None:
    assert isinstance(fault(429, error("slow down"), retry_after="7200"), EndpointStoppedError)
    assert isinstance(fault(429, error("Requests per day. Please try again in 7h12m.")), EndpointStoppedError)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, error("Incorrect API key provided")),
        (403, error("Country not supported", code="unsupported_country_region_territory")),
        (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]),
    ],
)
def test_a_key_that_is_not_accepted_stops_everything(status: int, body: Body) -> None:
    stopped = fault(status, body)
    assert isinstance(stopped, EndpointStoppedError)
    assert "does not accept KEY" in str(stopped)


@pytest.mark.parametrize(("status", "body"), [(404, error("no such model")), (405, ""), (301, ""), (308, "")])
def test_a_wrong_address_or_model_stops_everything(status: int, body: Body) -> None:
    stopped = fault(status, body)
    assert isinstance(stopped, EndpointStoppedError)
    assert "check `api_base` and the model" in str(stopped)


@pytest.mark.parametrize(
    ("status", "body", "alone"),
    [
        (403, "<html><h1>Request blocked</h1> Reference 0.1b2c</html>", True),
        (403, {"blocked": True, "ray": "8f2"}, True),
        (404, error("image url not found"), True),
        (404, error("The model could not load the image", type="invalid_request_error"), True),
        (302, "", True),
        (404, {"detail": "Not Found"}, True),
        (403, error("Your project has no access to this", code="unsupported"), False),
        (403, error("forbidden", code="PERMISSION_DENIED"), False),
        (404, error("The model `m` does not exist", code="model_not_found"), False),
        (404, error("Not found", code="model_not_found"), False),
        (404, {"object": "error", "message": "The model `m` does not exist.", "code": 404}, False),
        (404, error("模型不存在", code="1211"), False),
        (401, "<html>who are you?</html>", False),
    ],
)  # fmt: skip
def test_a_refusal_that_names_neither_key_nor_model_may_be_the_samples_own(
    status: int, body: Body, alone: bool
) -> None:
    stopped = fault(status, body)
    assert isinstance(stopped, EndpointStoppedError)
    assert (stopped.refused is not None) == alone
    assert not alone or str(stopped.refused).startswith(f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "body", "whole"),
    [
        (401, error("Incorrect API key provided"), True),
        (402, error("Insufficient Balance"), True),
        (429, error("You exceeded your current quota", code="insufficient_quota"), True),
        (429, gemini(f"{GEMINI_WORDS} limit: 20. Please retry in 18s.", "RequestsPerDayPerProjectPerModel"), False),
        (429, gemini(f"{GEMINI_WORDS} limit: 0, model: x. Please retry in 18s."), False),
        (403, error("Your project has no access to model x"), False),
        (404, error("no such model"), False),
    ],
)
def test_what_stops_one_model_need_not_stop_the_others_behind_a_key(status: int, body: Body, whole: bool) -> None:
    stopped = fault(status, body)
    assert isinstance(stopped, EndpointStoppedError)
    assert stopped.whole_account is whole


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("The response was filtered", code="content_filter")),
        (400, error("Your request was rejected", code="content_policy_violation")),
        (400, error("Input data may contain inappropriate content.", code="data_inspection_failed")),
        (400, error("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301")),
        (400, error("may contain sensitive information", code="InputImageSensitiveContentDetected")),
        (403, error("Content violates usage guidelines.", code="The caller does not have permission")),
        (403, error("Your model requires moderation and your input was flagged", code=403)),
    ],
)
def test_a_content_filter_is_no_fault_of_the_key_or_the_request(status: int, body: Body) -> None:
    assert isinstance(fault(status, body), FilteredError)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("This model's maximum context length is 4096 tokens")),
        (413, "too large"),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}),
        (400, {"error": "image too small"}),
        (400, {"error": {"message": None, "details": "no list", "code": None, "type": []}}),
        (400, [1, 2]),
        (400, {"error": {"message": "odd", "details": [{"violations": 5}, {"violations": [6]}]}}),
        (400, "[" * 100_000),
    ],
)
def test_any_other_refusal_is_of_this_request(status: int, body: Body) -> None:
    refused = fault(status, body)
    assert isinstance(refused, RejectedError)
    assert str(refused).startswith(f"HTTP {status}: ")
    assert len(str(refused)) < 330


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({}, None),
    ],
)
def test_the_forms_of_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 < (retry_after({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 100


@pytest.mark.parametrize("text", ["nan", "inf", "1e400"])
def test_a_retry_after_that_is_no_time_is_none(text: str) -> None:
    assert retry_after({"retry-after": text}) is None


# Replies


def reply(message: Any, reason: Any = "stop", usage: Any = None) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}], "usage": usage}).encode()


def read(body: bytes) -> Output:
    return read_reply(body, Key("MY_KEY", SECRET), "URL")


@pytest.mark.parametrize(
    ("message", "reason", "expected"),
    [
        ({"content": " Yes\n"}, "stop", Output(" Yes\n", "stop", 7, 2)),
        ({"content": [{"type": "text", "text": "Y"}, {"no": 1}, {"text": "es"}]}, "stop", Output("Yes", "stop", 7, 2)),
        ({"content": "A", "reasoning_content": "hm"}, "stop", Output("A", "stop", 7, 2, thinking="hm")),
        ({"content": "A", "reasoning": "m", "reasoning_content": None}, None, Output("A", None, 7, 2, thinking="m")),
        ({"content": None, "reasoning_content": "hm"}, "length", Output("", "length", 7, 2, thinking="hm")),
        ({"role": "assistant"}, "length", Output("", "length", 7, 2)),
        ({"content": "A long", "reasoning_content": ""}, "max_tokens", Output("A long", "length", 7, 2)),
        ({"content": None, "refusal": "I cannot."}, "stop", Output("I cannot.", "stop", 7, 2, refused=True)),
        ({"content": "No.", "refusal": None}, None, Output("No.", None, 7, 2)),
        ({"content": "Half"}, "content_filter", Output("Half", "content_filter", 7, 2, refused=True)),
        ({"content": ""}, 3, Output("", None, 7, 2)),
        ({"content": ""}, "SAFETY", Output("", "SAFETY", 7, 2, refused=True)),
        ({"content": "Half"}, "content_filter: OTHER", Output("Half", "content_filter: OTHER", 7, 2, refused=True)),
        ({"content": ""}, "sensitive", Output("", "sensitive", 7, 2, refused=True)),
        ({"content": "A long"}, "model_context_window_exceeded", Output("A long", "length", 7, 2)),
    ],
)  # fmt: skip
def test_what_a_reply_says(message: dict[str, Any], reason: Any, expected: Output) -> None:
    assert read(reply(message, reason, {"prompt_tokens": 7, "completion_tokens": 2})) == expected


@pytest.mark.parametrize(
    "usage",
    [
        *(None, [], {}, {"prompt_tokens": "7"}, {"prompt_tokens": -1, "completion_tokens": True}),
        {"prompt_tokens": 10**30, "completion_tokens": 2**31},
    ],
)
def test_tokens_that_are_not_told_are_unknown(usage: Any) -> None:
    output = read(reply({"content": "A"}, usage=usage))
    assert (output.prompt_tokens, output.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><h1>Welcome to nginx</h1></html>",
        b'{"choices": [{"message": {"con',
        b"",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_chat_completion_is_asked_again(body: bytes) -> None:
    with pytest.raises(TransientError, match="200 with"):
        read(body)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ({"code": 429, "message": "slow"}, TransientError, "HTTP 429: slow"),
        ({"code": "502", "message": "no upstream"}, TransientError, "HTTP 502"),
        ({"message": "odd"}, TransientError, "HTTP 500: odd"),
        ("odd", TransientError, "HTTP 500: odd"),
        ({"code": "9" * 5000, "message": "odd"}, TransientError, "HTTP 500: odd"),
        ({"code": 401, "message": f"bad key {SECRET}"}, EndpointStoppedError, "the key in MY_KEY"),
        ({"code": 402, "message": "no credits"}, EndpointStoppedError, "used up"),
        ({"code": "insufficient_quota", "message": "x"}, EndpointStoppedError, "used up"),
        ({"code": 400, "message": "bad image"}, RejectedError, "HTTP 400: bad image"),
        ({"code": "1301", "message": "敏感"}, FilteredError, "敏感"),
    ],
)
def test_an_error_behind_status_200_is_read_as_one(error: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        read(json.dumps({"error": error}).encode())
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("reason", ["error", "abort", "network_error", "insufficient_system_resource"])
def test_an_answer_that_was_broken_off_is_asked_again(reason: str) -> None:
    with pytest.raises(TransientError, match=f"broke off .*{reason}"):
        read(reply({"content": "Yes, half of"}, reason))


@pytest.mark.parametrize(("code", "kind"), [(502, TransientError), (400, RejectedError), (401, EndpointStoppedError)])
def test_an_error_of_a_choice_is_read_as_one(code: int, kind: type[Exception]) -> None:
    content = json.loads(reply({"content": "half of"}))
    content["choices"][0]["error"] = {"code": code, "message": "no upstream"}
    with pytest.raises(kind, match=f"HTTP {code}: no upstream"):
        read(json.dumps(content).encode())


@pytest.mark.parametrize("body", [f"<p>Authorization: {SECRET}", f'["{SECRET}"]', f'{{"you sent": "{SECRET}"}}'])
def test_a_page_that_shows_the_key_does_not_show_it_further(body: str) -> None:
    with pytest.raises(TransientError) as caught:
        read(body.encode())
    assert "***" in str(caught.value)
    assert SECRET[:8] not in str(caught.value)


def test_an_answer_that_quotes_the_key_is_kept_without_it() -> None:
    quoted = SECRET.replace("-", "%2D")
    output = read(reply({"content": f"You sent {SECRET}", "reasoning": f"It is {quoted}."}, f"stop {SECRET}"))
    assert (output.text, output.thinking, output.finish_reason) == ("You sent ***", "It is ***.", "stop ***")
    assert read(reply({"content": None, "refusal": f"Not with {SECRET}"})).text == "Not with ***"


def test_other_words_that_look_like_a_key_are_the_models_own() -> None:
    said = "The sign says sk-0a1b2c3d4e and Bearer 12345678."
    assert read(reply({"content": said, "reasoning": said})).text == said


def test_an_error_beside_an_answer_does_not_hide_it() -> None:
    body = json.loads(reply({"content": "A"})) | {"error": {"message": "a warning"}}
    assert read(json.dumps(body).encode()).text == "A"


def test_half_a_surrogate_in_an_answer_is_kept_as_a_text_that_can_be_written() -> None:
    asking = Asking("digest", 16)
    question = make_question(asking, "0", [{"type": "text", "text": "?"}], None)
    output = read(reply({"content": "Yes \ud83d", "reasoning": "\ud83d\ude00 \ude00"}, "stop\ud83d"))
    kept = prediction(question, output, asking, 0.0, 0)
    assert (kept.prediction, kept.thinking, kept.finish_reason) == ("Yes \ufffd", "\U0001f600 \ufffd", "stop\ufffd")
    failed = prediction(question, RejectedError("bad \ud83d"), asking, 0.0, 0)
    assert failed.error == "RejectedError: bad \ufffd"
