"""When a server that was started can be asked: as soon as it has answered a question such as the run will ask."""

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests
from PIL import Image

from vlmake.backends.base import Request, Turn
from vlmake.endpoints.address import chat_url, models_url
from vlmake.endpoints.faults import EndpointStoppedError, FilteredError, RejectedError, TransientError
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording, body_of
from vlmake.endpoints.reply import read_reply
from vlmake.errors import VlmakeError
from vlmake.servers.ports import listener
from vlmake.servers.process import ServerProcess

_POLL_S = 0.5
_ANSWER_S = 300.0  # the first answer may compile kernels
_LIST_S = 10.0
_JSON = {"Content-Type": "application/json"}
_REFUSALS_AT_MOST = 10  # engines say 404 or 500 while they load, and 503

_SIDE = 56  # pixels: processors that cut pictures into patches refuse much smaller ones


@dataclass(frozen=True)
class _NotYet:
    """Why a question was not answered, and whether that counts: a server that loads refuses for a while."""

    why: str
    is_refusal: bool


class PortTakenError(VlmakeError):
    """Another program listens where the server was told to."""


def wait_until_ready(
    server: ServerProcess, wording: Wording, folder: str, seconds: float, key: Key, *, with_picture: bool = True
) -> Wording:
    """Return when the server has answered a question: how it is asked, with its name of the model.

    Nothing is sent to another program's port. A reply counts only if it is an answer as the run will read it.

    Args:
        server: A server that was started.
        wording: How it will be asked; an empty ``model`` becomes the first that the server lists, else ``folder``.
        folder: What the server was told to serve.
        seconds: How long it may take.
        key: What the server was told to ask for, if anything.
        with_picture: Whether the question is about a picture: not for a model that reads texts alone.

    Raises VlmakeError with the server's last words if it ends, refuses the question or takes too long, PortTakenError
    if somebody else listens at its port.
    """
    deadline = time.monotonic() + seconds
    refusals, last = 0, "it does not listen"
    while time.monotonic() < deadline:
        if _is_listening(server, key):
            tried = _tried(server, wording, folder, key, with_picture)
            if isinstance(tried, Wording):
                return tried
            last, refusals = tried.why, refusals + tried.is_refusal
            if refusals >= _REFUSALS_AT_MOST:
                about = " about a picture" if with_picture else ""
                raise VlmakeError(f"the server refuses a question{about}: {last} ({server.log})")
        time.sleep(_POLL_S)
    raise VlmakeError(f"the server did not answer within {seconds:g} s, the last: {last} ({server.log})")


def _is_listening(server: ServerProcess, key: Key) -> bool:
    """Tell whether the server listens; raises VlmakeError if it has ended, PortTakenError if others listen there."""
    lives, found = server.is_alive(), listener(server.port.number, server.keeper.pid)
    if found == "others":
        raise PortTakenError(
            f"at {server.root} another program listens than the one that `command` started: run the same command again"
            " (a server in a container of its own is asked by `backend: endpoint`)"
        )
    if not lives:
        said = key.hidden_in(server.last_words())
        raise VlmakeError(f"the server ended before it answered: {server.ending()}: {said} ({server.log})")
    return found == "ours"


def _tried(server: ServerProcess, wording: Wording, folder: str, key: Key, with_picture: bool) -> "Wording | _NotYet":
    """Ask a question; return how it was asked if it was answered, else why it was not."""
    try:
        named = wording if wording.model else replace(wording, model=_listed(server, key) or folder)
        with _session(key) as session:
            question = _question(named, with_picture)
            reply = session.post(chat_url(server.root), data=question, headers=_JSON, timeout=_ANSWER_S)
    except requests.RequestException as error:
        return _NotYet(type(error).__name__, is_refusal=False)
    if reply.status_code != requests.codes.ok:
        said = f"HTTP {reply.status_code}: {' '.join(reply.text.split())[:200]}"
        return _NotYet(key.hidden_in(said), reply.status_code != requests.codes.service_unavailable)
    try:
        read_reply(reply.content, key, server.root)
    except (TransientError, RejectedError, FilteredError, EndpointStoppedError) as error:
        return _NotYet(str(error), is_refusal=True)
    return named


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


def _question(wording: Wording, with_picture: bool) -> bytes:
    parts = [{"type": "text", "text": "Is this a picture? Answer yes or no."}]
    if with_picture:
        parts.insert(0, {"type": "image", "image": "0"})
    return body_of(Request([Turn("user", parts)], {"0": _grey_picture()}, max_new_tokens=1), wording)


def _grey_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), "grey").save(buffer, format="PNG")
    return buffer.getvalue()
