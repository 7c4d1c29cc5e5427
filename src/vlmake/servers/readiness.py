"""When a server that was started can be asked: as soon as it has answered a question about a picture."""

import io
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
from PIL import Image

from vlmake.backends.base import Request, Turn
from vlmake.endpoints.address import chat_url, models_url
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording, body_of
from vlmake.errors import VlmakeError
from vlmake.servers.process import ServerProcess

_POLL_S = 0.5
_ANSWER_S = 300.0  # the first answer may compile kernels
_LIST_S = 10.0
_JSON = {"Content-Type": "application/json"}
_REFUSALS_AT_MOST = 10  # engines say 404 or 500 while they load, and 503

_SIDE = 56  # pixels: processors that cut pictures into patches refuse much smaller ones


def wait_until_ready(server: ServerProcess, wording: Wording, folder: str, seconds: float, key: Key) -> Wording:
    """Return when the server has answered a question about a picture: how it is asked, with its name of the model.

    Args:
        server: A server that was started.
        wording: How it will be asked; an empty ``model`` becomes the first that the server lists, else ``folder``.
        folder: What the server was told to serve.
        seconds: How long it may take.
        key: What the server was told to ask for, if anything.

    Raises VlmakeError with the server's last words if it ends, refuses the question or takes too long.
    """
    deadline = time.monotonic() + seconds
    refusals, last = 0, "it does not listen"
    while time.monotonic() < deadline:
        if not server.is_alive():
            raise VlmakeError(
                f"the server ended before it answered: {key.hidden_in(server.last_words())} ({server.log})"
            )
        try:
            named = wording if wording.model else replace(wording, model=_listed(server, key) or folder)
            with _session(key) as session:
                reply = session.post(chat_url(server.root), data=_question(named), headers=_JSON, timeout=_ANSWER_S)
        except requests.RequestException as error:
            last = type(error).__name__
        else:
            if reply.status_code == requests.codes.ok:
                return named
            last = key.hidden_in(f"HTTP {reply.status_code}: {' '.join(reply.text.split())[:200]}")
            refusals += reply.status_code != requests.codes.service_unavailable
            if refusals >= _REFUSALS_AT_MOST:
                raise VlmakeError(f"the server refuses a question about a picture: {last} ({server.log})")
        time.sleep(_POLL_S)
    raise VlmakeError(f"the server did not answer within {seconds:g} s, the last: {last} ({server.log})")


def _session(key: Key) -> requests.Session:
    """Return a session that takes no proxy: the server is on this machine."""
    session = requests.Session()
    session.headers.update(key.headers())
    session.trust_env = False
    return session


def _listed(server: ServerProcess, key: Key) -> str | None:
    """Return the first model that the server lists; raises RequestException while it does not listen."""
    try:
        with _session(key) as session:
            content: Any = session.get(models_url(server.root), timeout=_LIST_S).json()
    except requests.JSONDecodeError:
        return None
    models = content.get("data") if isinstance(content, Mapping) else None
    names = [model.get("id") for model in models if isinstance(model, Mapping)] if isinstance(models, list) else []
    return next((name for name in names if isinstance(name, str) and name), None)


def _question(wording: Wording) -> bytes:
    parts = [{"type": "image", "image": "0"}, {"type": "text", "text": "Is this a picture? Answer yes or no."}]
    return body_of(Request([Turn("user", parts)], {"0": _grey_picture()}, max_new_tokens=1), wording)


def _grey_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), "grey").save(buffer, format="PNG")
    return buffer.getvalue()
