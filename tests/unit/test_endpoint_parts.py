"""The parts of the client for chat completions: addresses, keys, refusals, replies, bodies, concurrency, money."""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chat_server import running
from vlmake.backends.base import Output, Request, Turn
from vlmake.backends.endpoint import EndpointBackend
from vlmake.data.images import ImageError
from vlmake.endpoints.address import chat_url, models_url, shown
from vlmake.endpoints.client import Client
from vlmake.endpoints.concurrency import Concurrency
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.faults import (
    EndpointStoppedError,
    FilteredError,
    RejectedError,
    TransientError,
    fault_of,
    read_refusal,
    retry_after,
)
from vlmake.endpoints.keys import Key, read_key
from vlmake.endpoints.messages import Wording, body_of, media_type
from vlmake.endpoints.reply import read_reply
from vlmake.endpoints.spending import Price, Spending
from vlmake.errors import VlmakeError

SECRET = "sk-live-0a1b2c3d4e5f6071"


# Addresses


@pytest.mark.parametrize(
    ("api_base", "chat", "models"),
    [
        ("http://h:8000", "http://h:8000/v1/chat/completions", "http://h:8000/v1/models"),
        ("http://h:8000/", "http://h:8000/v1/chat/completions", "http://h:8000/v1/models"),
        ("http://h/v1/", "http://h/v1/chat/completions", "http://h/v1/models"),
        ("http://h/v1/chat/completions", "http://h/v1/chat/completions", "http://h/v1/models"),
        (" https://h/api/paas/v4 ", "https://h/api/paas/v4/chat/completions", "https://h/api/paas/v4/models"),
        ("https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions", "https://h/v1beta/openai/models"),
        ("https://h/d/x?api-version=1", "https://h/d/x/chat/completions?api-version=1", "https://h/d/x/models?api-version=1"),
        ("http://[::1]:80/v1#top", "http://[::1]:80/v1/chat/completions", "http://[::1]:80/v1/models"),
    ],
)  # fmt: skip
def test_a_root_a_versioned_root_and_a_full_url_lead_to_the_same_place(api_base: str, chat: str, models: str) -> None:
    assert (chat_url(api_base), models_url(api_base)) == (chat, models)


@pytest.mark.parametrize("api_base", ["localhost:8000", "ftp://h/v1", "http://", "/v1", ""])
def test_what_is_no_url_is_said_so(api_base: str) -> None:
    with pytest.raises(VlmakeError, match="is no URL: write http"):
        chat_url(api_base)


def test_a_password_in_an_address_is_refused_and_not_printed() -> None:
    with pytest.raises(VlmakeError, match="holds a user name or password") as caught:
        chat_url(f"https://me:{SECRET}@h/v1?key={SECRET}")
    assert SECRET not in str(caught.value)
    assert shown(f"https://me:{SECRET}@h:1/v1?key={SECRET}#x") == "https://h:1/v1"


# Keys


def test_a_variable_of_the_environment_goes_before_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"# keys\nONE='{SECRET}'\nexport TWO= two ${{HOME}}\n", encoding="utf-8")
    assert read_key("ONE", tmp_path) == Key("ONE", SECRET)
    assert read_key("TWO", tmp_path).value == "two ${HOME}"
    monkeypatch.setenv("ONE", " from-the-environment\n")
    assert read_key("ONE", tmp_path).headers() == {"Authorization": "Bearer from-the-environment"}


def test_without_a_variable_there_is_no_key(tmp_path: Path) -> None:
    assert read_key(None, tmp_path).headers() == {}


@pytest.mark.parametrize("content", [None, "OTHER=1\n", "MY_KEY=\n", "MY_KEY='  '\n"])
def test_a_key_that_is_nowhere_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".env").write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match=r"set the environment variable MY_KEY, or write MY_KEY=\.\.\. into \.env"):
        read_key("MY_KEY", tmp_path)


@pytest.mark.parametrize(
    "key", [SECRET, "sk_test_1234", "AIzaSyA1b2C3d4E5f6G7h8I9", "12ab.cdEF", "0123456789abcdef0123456789abcdef", "two words"]
)  # fmt: skip
def test_a_key_in_place_of_its_name_is_not_printed(tmp_path: Path, key: str) -> None:
    with pytest.raises(VlmakeError, match="write the NAME of the environment variable") as caught:
        read_key(key, tmp_path)
    assert key not in str(caught.value)


def test_a_long_name_in_small_letters_is_a_name_where_it_is_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("my_key_of_the_year_2026=abc123\n", encoding="utf-8")
    assert read_key("my_key_of_the_year_2026", tmp_path).value == "abc123"


def test_dotenv_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfeM\0Y\0")
    with pytest.raises(VlmakeError, match="UnicodeDecodeError"):
        read_key("MY_KEY", tmp_path)


def test_no_text_holds_the_key() -> None:
    key = Key("MY_KEY", SECRET)
    assert SECRET not in f"{key} {key!r} {key.where()}"
    assert key.hidden_in(f"Incorrect API key provided: {SECRET}.") == "Incorrect API key provided: ***."
    assert key.hidden_in("Incorrect API key provided: sk-live*****6071.") == "Incorrect API key provided: ***"
    assert key.hidden_in("bad Bearer abc123def") == "bad ***"
    assert Key("MY_KEY", "EMPTY").hidden_in("EMPTY is not EMPTY") == "EMPTY is not EMPTY"


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
        (429, gemini(f"{GEMINI_WORDS} limit: 20. Please retry in 18s.", "GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
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
        (gemini(f"{GEMINI_WORDS} limit: 1000000, model: x\nPlease retry in 33.8s.", "TokensPerModelPerMinute"), {}, 33.8),
        (error("You exceeded your current quota. See https://help.aliyun.com/error-code#token-limit",
               type="insufficient_quota", code="insufficient_quota"), {}, None),
        (error("Allocated quota exceeded, please increase your quota limit.", code="Throttling.AllocationQuota"), {}, None),
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
        ({"content": [{"type": "text", "text": "Y"}, {"type": "image"}, {"text": "es"}]}, "stop", Output("Yes", "stop", 7, 2)),
        ({"content": "A", "reasoning_content": "hm"}, "stop", Output("A", "stop", 7, 2, thinking="hm")),
        ({"content": "A", "reasoning": "hm", "reasoning_content": None}, "stop", Output("A", "stop", 7, 2, thinking="hm")),
        ({"content": None, "reasoning_content": "hm"}, "length", Output("", "length", 7, 2, thinking="hm")),
        ({"role": "assistant"}, "length", Output("", "length", 7, 2)),
        ({"content": "A long", "reasoning_content": ""}, "max_tokens", Output("A long", "length", 7, 2)),
        ({"content": None, "refusal": "I cannot."}, "stop", Output("I cannot.", "stop", 7, 2, refused=True)),
        ({"content": "No.", "refusal": None}, None, Output("No.", None, 7, 2)),
        ({"content": "Half"}, "content_filter", Output("Half", "content_filter", 7, 2, refused=True)),
        ({"content": ""}, 3, Output("", None, 7, 2)),
    ],
)  # fmt: skip
def test_what_a_reply_says(message: dict[str, Any], reason: Any, expected: Output) -> None:
    assert read(reply(message, reason, {"prompt_tokens": 7, "completion_tokens": 2})) == expected


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": "7"}, {"prompt_tokens": -1, "completion_tokens": True}]
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


def test_an_error_beside_an_answer_does_not_hide_it() -> None:
    body = json.loads(reply({"content": "A"})) | {"error": {"message": "a warning"}}
    assert read(json.dumps(body).encode()).text == "A"


# Bodies


def picture(form: str, size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format=form)
    return buffer.getvalue()


def asked(*parts: str | bytes) -> Request:
    images = {str(place): part for place, part in enumerate(parts) if isinstance(part, bytes)}
    turn = [
        {"type": "image", "image": str(place)} if isinstance(part, bytes) else {"type": "text", "text": part}
        for place, part in enumerate(parts)
    ]
    return Request([Turn("user", turn)], images, max_new_tokens=16)


def sent(request: Request, **wording: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(body_of(request, Wording("m", **wording)))
    return body


def image_of(part: dict[str, Any]) -> bytes:
    head, _, data = part["image_url"]["url"].partition(";base64,")
    assert head.startswith("data:")
    return base64.b64decode(data, validate=True)


@pytest.mark.parametrize(
    ("form", "kind"),
    [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tiff"), ("WEBP", "webp")],
)
def test_images_are_sent_as_they_are_under_their_own_type(form: str, kind: str) -> None:
    data = picture(form)
    part = sent(asked(data, "What?"))["messages"][0]["content"][0]
    assert part["image_url"]["url"].startswith(f"data:image/{kind};base64,")
    assert image_of(part) == data
    assert part["image_url"].keys() == {"url"}


def test_unknown_bytes_are_called_so() -> None:
    assert media_type(b"RIFF\0\0\0\0WAVE") == media_type(b"") == "application/octet-stream"


def test_parts_keep_their_order_and_turns_their_sides() -> None:
    one, two = picture("PNG"), picture("GIF")
    content = sent(asked("First ", one, " then ", two))["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "text", "image_url"]
    assert [image_of(content[1]), image_of(content[3])] == [one, two]
    history = Request(
        [Turn("user", [{"type": "text", "text": "a"}]), Turn("assistant", [{"type": "text", "text": "b"}])], {}, 1
    )
    assert [message["role"] for message in sent(history, system="s")["messages"]] == ["system", "user", "assistant"]


def test_text_alone_is_a_string() -> None:
    assert sent(asked("One", "two 是"))["messages"] == [{"role": "user", "content": "One\ntwo 是"}]


def test_half_a_surrogate_does_not_stop_a_request() -> None:
    assert sent(asked("a\ud800b"))["messages"][0]["content"] == "a?b"


def test_the_rest_of_a_body_is_as_the_wording_says() -> None:
    assert sent(asked("?")) == {
        "model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 16, "temperature": 0.0,
    }  # fmt: skip
    body = sent(asked("?"), temperature=None, limit_key="max_completion_tokens", extra={"top_p": 0.5, "seed": 1})
    assert body.keys() == {"model", "messages", "max_completion_tokens", "top_p", "seed"}


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (picture("PNG", (400, 200)), (100, 50)),
        (picture("PNG", (40, 20), "RGBA"), (40, 20)),
        (picture("GIF", (40, 400), "P"), (10, 100)),
        (picture("JPEG", (400, 400), "CMYK"), (100, 100)),
        (picture("PNG", (400, 1), "L"), (100, 1)),
    ],
)
def test_img_size_is_the_longest_side_of_a_jpeg(data: bytes, size: tuple[int, int]) -> None:
    part = sent(asked(data), longest_side=100)["messages"][0]["content"][0]
    assert part["image_url"]["url"].startswith("data:image/jpeg;")
    shown = Image.open(io.BytesIO(image_of(part)))
    assert (shown.format, shown.size) == ("JPEG", size)


def test_img_detail_is_said_of_every_image() -> None:
    content = sent(asked(picture("PNG"), picture("GIF"), "?"), image_detail="high")["messages"][0]["content"]
    assert [part["image_url"]["detail"] for part in content[:2]] == ["high", "high"]


def test_a_question_that_cannot_be_made_costs_itself_alone() -> None:
    questions: list[Callable[[], Request]] = [
        lambda: asked(picture("PNG"), "one"),
        lambda: asked(b"no image", "two"),
        lambda: asked(picture("PNG"), picture("PNG"), "three"),
        lambda: asked("four"),
    ]
    found: dict[int, Output | Exception] = {}
    with running() as server:
        endpoint = Endpoint(chat_url(server.url), Key(None), most=4, attempts=2, timeout=10.0)
        backend = EndpointBackend(Client(endpoint, Spending()), Wording("m", longest_side=8), max_images=1)
        backend.stream(iter(questions), lambda answers: found.update({number: result for number, result, _ in answers}))
        assert sum(server.stats()["calls"].values()) == 2
    assert [type(found[number]) for number in range(4)] == [Output, ImageError, ValueError, Output]
    assert str(found[2]) == "the prompt has 2 images, and the model takes 1"


# Concurrency


def answer_rounds(limiter: Concurrency, rounds: int, seconds: float = 1.0, now: float = 0.0) -> list[int]:
    """Answer as many requests as the limit allows, round by round; the limit after each."""
    limits = []
    for _ in range(rounds):
        for _ in range(limiter.limit):
            limiter.answered(seconds, now)
        limits.append(limiter.limit)
    return limits


def test_the_limit_doubles_while_answers_are_fast_up_to_the_most() -> None:
    limiter = Concurrency(64)
    assert limiter.limit == 4
    assert answer_rounds(limiter, 6) == [8, 16, 32, 64, 64, 64]
    assert Concurrency(2).limit == 2
    assert answer_rounds(Concurrency(1), 3) == [1, 1, 1]


def throttle(limiter: Concurrency, refused: int, of: int, now: float) -> None:
    """Count so many attempts, ``refused`` of them 429s, spread evenly."""
    for place in range(of):
        if place * refused % of < refused:
            limiter.failed(429, now)
        else:
            limiter.answered(1.0, now)


def test_a_fifth_of_429s_halves_the_limit() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    throttle(limiter, refused=8, of=32, now=10.0)
    assert limiter.limit == 16
    assert limiter.history[-1].reason == "429"


def test_fewer_429s_cut_nothing() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    throttle(limiter, refused=4, of=32, now=10.0)
    throttle(limiter, refused=4, of=32, now=20.0)
    assert limiter.limit == 32


def test_the_limit_is_halved_once_a_second_and_never_below_one() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    for _ in range(200):
        limiter.failed(429, 10.0)
    assert limiter.limit == 16
    for _ in range(16):
        limiter.failed(429, 10.5)
    assert limiter.limit == 16
    for second in range(11, 31):
        for _ in range(32):
            limiter.failed(429, float(second))
    assert limiter.limit == 1


def test_after_a_cut_growth_is_slower() -> None:
    limiter = Concurrency(64)
    answer_rounds(limiter, 3)
    for _ in range(32):
        limiter.failed(429, 10.0)
    assert limiter.limit == 16
    after = answer_rounds(limiter, 40, now=20.0)
    assert after[-1] == 64
    assert all(later <= earlier * 1.25 + 1 for earlier, later in zip(after, after[1:], strict=False))


def test_a_server_error_pauses_growth_and_no_reply_at_all_does_not() -> None:
    paused, lost = Concurrency(64), Concurrency(64)
    paused.failed(503, 0.0)
    lost.failed(None, 0.0)
    for limiter in (paused, lost):
        for _ in range(4):
            limiter.answered(1.0, 0.0)
    assert (paused.limit, lost.limit) == (4, 8)
    paused.answered(1.0, 0.0)
    assert paused.limit == 5


def test_nothing_grows_while_answers_are_slow() -> None:
    limiter = Concurrency(256)
    answer_rounds(limiter, 3, seconds=0.1)
    slow = answer_rounds(limiter, 2, seconds=1.0)[-1]
    assert answer_rounds(limiter, 3, seconds=1.0) == [slow] * 3
    assert answer_rounds(limiter, 4, seconds=0.1)[-1] > slow


def test_the_history_holds_cuts_and_the_tops_between_them() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 5, now=1.234)
    for _ in range(32):
        limiter.failed(429, 2.0)
    answer_rounds(limiter, 1, now=3.0)
    answer_rounds(limiter, 20, now=4.0)
    assert [(change.limit, change.reason) for change in limiter.history] == [
        (4, "start"), (32, "grown"), (16, "429"), (32, "grown"),
    ]  # fmt: skip
    assert [change.seconds for change in limiter.history] == [0.0, 1.23, 2.0, 4.0]


# Money


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(2.5, 10.0).of(1_000_000, 100_000) == 3.5
    assert Spending().cost() is None


def test_tokens_that_are_not_told_cost_nothing() -> None:
    spending = Spending(Price(1.0, 1.0), most=1.0)
    spending.add(None, None)
    spending.add(400_000, None)
    assert (spending.cost(), spending.prompt_tokens, spending.replies) == (0.4, 400_000, 2)


def test_the_limit_is_not_passed_by_what_is_under_way() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0)
    assert spending.allows_one_more(1000)  # nothing is known of the first
    spending.add(250_000, 10)
    assert [spending.allows_one_more(count) for count in (0, 1, 2, 3)] == [True, True, True, False]
    spending.add(250_000, 10)
    spending.add(250_000, 10)
    assert spending.allows_one_more(0)
    assert not spending.allows_one_more(1)
    spending.add(250_000, 10)
    with pytest.raises(EndpointStoppedError, match=r"max_cost 1 would be passed: 1\.0000 was spent"):
        spending.allows_one_more(0)


def test_what_was_spent_before_counts() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=0.9)
    spending.add(100_000, 0)
    with pytest.raises(EndpointStoppedError, match="1.0000 was spent"):
        spending.allows_one_more(0)


@pytest.mark.parametrize("spending", [Spending(), Spending(Price(1.0, 1.0)), Spending(most=0.1)])
def test_without_a_price_or_a_limit_nothing_is_stopped(spending: Spending) -> None:
    spending.add(10_000_000, 10_000_000)
    assert spending.allows_one_more(1000)
