"""The parts of the client for chat completions: addresses, bodies."""

import base64
import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chat_server import running
from vlmake.backends.base import Output, Request, Turn
from vlmake.backends.endpoint import EndpointBackend
from vlmake.data.images import ImageError
from vlmake.endpoints.address import chat_url, is_on_this_machine, models_url, proxy_of, shown
from vlmake.endpoints.client import Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording, body_of, media_type
from vlmake.endpoints.spending import Spending
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


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.0.0.5:1", True),
        ("http://[::1]:1", True),
        ("http://10.0.0.1:1", False),
        ("https://localhost.example.com", False),
        ("https://api.example.com", False),
    ],
)
def test_what_is_on_this_machine(url: str, here: bool) -> None:
    assert is_on_this_machine(url) is here


@pytest.mark.parametrize("api_base", ["localhost:8000", "ftp://h/v1", "http://", "/v1", "", "http://[h", "http://h:x"])
def test_what_is_no_url_is_said_so(api_base: str) -> None:
    with pytest.raises(VlmakeError, match="is no URL: write http"):
        chat_url(api_base)


def test_a_password_in_an_address_is_refused_and_not_printed() -> None:
    with pytest.raises(VlmakeError, match="holds a user name or password") as caught:
        chat_url(f"https://me:{SECRET}@h/v1?key={SECRET}")
    assert SECRET not in str(caught.value)
    assert shown(f"https://me:{SECRET}@h:1/v1?key={SECRET}#x") == "https://h:1/v1"


@pytest.mark.parametrize(
    "url", [f"http://[{SECRET}", f"http://me:{SECRET}#@h", f"me:{SECRET}@h/v1", f"{SECRET}@h", f"http://h:{SECRET}/v1"]
)
def test_of_what_cannot_be_taken_apart_nothing_is_shown(url: str) -> None:
    assert shown(url) == "…"
    with pytest.raises(VlmakeError, match="'…' is no URL"):
        models_url(url)


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


@pytest.mark.parametrize("own", [True, False])
def test_a_server_on_this_machine_is_asked_without_a_proxy(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[int, Output | Exception] = {}
    with running() as server:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing listens there
        monkeypatch.setenv("NO_PROXY", "")
        url = chat_url(server.url if own else "http://elsewhere.example")
        backend = EndpointBackend(Client(Endpoint(url, Key(None), 1, 1, 10.0), Spending()), Wording("m"), None)
        backend.stream(iter([lambda: asked("?")]), lambda answers: found.update({0: answers[0][1]}))
    if own:
        assert isinstance(found[0], Output)
    else:
        assert "127.0.0.1:9" in str(found[0])


def test_a_proxy_is_used_and_nobody_is_sent_the_passwords_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"default login me password {SECRET}\n", encoding="utf-8")
    found: dict[int, Output | Exception] = {}
    with running() as server:
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("HTTP_PROXY", server.url.replace("http://", "me:its-password@"))
        monkeypatch.setenv("NO_PROXY", "")
        for number, key in enumerate((Key(None), Key("MY_KEY", "abc"))):
            endpoint = Endpoint(chat_url("http://elsewhere.example"), key, 1, 1, 10.0)
            backend = EndpointBackend(Client(endpoint, Spending()), Wording("m"), None)
            asking = [lambda: asked("?")]
            backend.stream(iter(asking), lambda answers, number=number: found.update({number: answers[0][1]}))
        assert server.stats()["keys"] == ["", "Bearer abc"]
    assert all(isinstance(result, Output) for result in found.values())
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    assert proxy_of("http://elsewhere.example/v1") is None


@contextlib.contextmanager
def refusing_proxy() -> Iterator[tuple[str, list[tuple[str, Mapping[str, str]]]]]:
    """A proxy that lets nothing through; its address, and each request's method and headers as it read them."""
    heads: list[tuple[str, Mapping[str, str]]] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            heads.append((self.command, self.headers))
            self.send_error(503, "nothing passes")

        do_POST = do_CONNECT  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", heads
        server.shutdown()


@pytest.mark.parametrize("login", ["", "me:its-pass%40word@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_a_proxy_is_told_its_own_password_and_nobody_is_told_anothers(
    scheme: str, login: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found: dict[int, Output | Exception] = {}
    with refusing_proxy() as (proxy, heads):
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{login}{proxy}")
        monkeypatch.setenv("NO_PROXY", "")
        endpoint = Endpoint(chat_url(f"{scheme}://elsewhere.example"), Key("MY_KEY", SECRET), 1, 1, 10.0)
        backend = EndpointBackend(Client(endpoint, Spending()), Wording("m"), None)
        backend.stream(iter([lambda: asked("?")]), lambda answers: found.update({0: answers[0][1]}))
    ((method, headers),) = heads
    expected = "Basic " + base64.b64encode(b"me:its-pass@word").decode() if login else None
    assert headers.get("Proxy-Authorization") == expected
    if scheme == "https":  # what passes through the tunnel is for the server alone
        assert (method, headers.get("Authorization")) == ("CONNECT", None)
    else:
        assert (method, headers.get("Authorization")) == ("POST", f"Bearer {SECRET}")
    assert isinstance(found[0], Exception)
    told = f"{found[0]} {capfd.readouterr()}"
    assert not [secret for secret in ("its-pass", SECRET, str(expected)) if secret in told]
