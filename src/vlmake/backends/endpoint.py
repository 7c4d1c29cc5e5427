"""An OpenAI-compatible server as a model: what it serves is declared, not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmake.backends.base import Capabilities, Deliver, Request
from vlmake.endpoints.address import chat_url
from vlmake.endpoints.client import Call, Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.keys import read_key
from vlmake.endpoints.messages import Wording, body_of
from vlmake.endpoints.spending import Price, Spending
from vlmake.errors import counted
from vlmake.inference.journal import all_predictions

if TYPE_CHECKING:
    from vlmake.models.model_spec import ModelSpec, RuntimeOptions
    from vlmake.registry.model_entries import EndpointEntry, ServedEntry

Make = Callable[[], Request]
IsAlive = Callable[[], bool]


class EndpointBackend:
    """Asks one server, as many questions at once as it likes."""

    def __init__(self, client: Client, wording: Wording, max_images: int | None) -> None:
        self.capabilities = Capabilities(max_images, system=True, history=True)
        self._client = client
        self._wording = wording

    def stream(self, requests: Iterator[Make], deliver: Deliver) -> None:
        """Send every request; raises EndpointStoppedError where nothing more can be asked."""
        self.ask(enumerate(requests), deliver)

    def ask(self, numbered: Iterator[tuple[int, Make]], deliver: Deliver, is_alive: IsAlive | None = None) -> None:
        """Send requests that have their numbers already; raises as ``Client.ask``."""
        heavy = self._wording.longest_side is not None
        most = self.capabilities.max_images
        calls = (Call(number, partial(_body, make, self._wording, most), heavy) for number, make in numbered)
        self._client.ask(calls, lambda answers: deliver([(a.number, a.result, a.seconds) for a in answers]), is_alive)

    def facts(self) -> dict[str, Any]:
        """Return how the server was used: calls by their outcome, the limit on requests, tokens and money."""
        spending = self._client.spending
        tokens = {"prompt_tokens": spending.prompt_tokens, "completion_tokens": spending.completion_tokens}
        return {
            "server": self._client.endpoint.shown,
            "samples": dict(self._client.counts) | tokens,
            "concurrency": [asdict(change) for change in self._client.concurrency.history],
            "cost": spending.cost(),
        }

    def close(self) -> None:
        """Nothing was started."""


def load(spec: ModelSpec, runtime: RuntimeOptions) -> EndpointBackend:
    """Return the server that the spec names; it is not asked yet. VlmakeError for a key that is nowhere."""
    entry: EndpointEntry = spec.entry  # type: ignore[assignment]  # the registry gave this backend its kind of entry
    wording = wording_of(entry, entry.served_model)
    journals = Path.cwd(), spec.journals
    return endpoint_backend(
        entry.api_base, wording, entry, _spending(spec, entry), Path.cwd(), partial(_has_answered, *journals)
    )


def endpoint_backend(
    api_base: str,
    wording: Wording,
    entry: ServedEntry,
    spending: Spending,
    folder: Path,
    has_answered: Callable[[], bool] = lambda: False,
) -> EndpointBackend:
    """Return the backend that asks the server at ``api_base`` as the entry says; ``folder`` may hold .env.

    ``has_answered`` tells whether the model gave answers in earlier runs.
    """
    endpoint = Endpoint(
        url=chat_url(api_base),
        key=read_key(entry.api_key, folder).at(api_base),
        most=entry.nproc,
        attempts=entry.retry,
        timeout=entry.timeout,
        first_wait=entry.retry_interval,
        per_minute=entry.requests_per_minute,
    )
    return EndpointBackend(Client(endpoint, spending, has_answered), wording, entry.max_images)


def wording_of(entry: ServedEntry, served_model: str) -> Wording:
    """Return how the entry's server is asked."""
    top_p = {} if entry.top_p is None else {"top_p": entry.top_p}
    return Wording(
        model=served_model,
        temperature=entry.temperature,
        system=entry.system,
        limit_key=entry.limit_key,
        longest_side=entry.img_size if entry.img_size > 0 else None,
        image_detail=entry.img_detail,
        extra=top_p | dict(entry.extra_body),
    )


def _spending(model: ModelSpec, entry: EndpointEntry) -> Spending:
    """Return the account of a model: what its answers in this work directory cost so far counts towards its limit."""
    if entry.price is None:
        return Spending()
    price = Price(entry.price.input, entry.price.output)
    if entry.max_cost is None:
        return Spending(price)
    before, replies, dearest = 0.0, 0, 0.0
    for folder in Path().glob(model.journals):
        for item in all_predictions(folder):
            prompts = (item.prompt_tokens or 0) + item.earlier_prompt_tokens
            cost = price.of(prompts, (item.completion_tokens or 0) + item.earlier_completion_tokens)
            before, dearest = before + cost, max(dearest, cost)
            replies += cost > 0 or item.prompt_tokens is not None or item.completion_tokens is not None
    return Spending(price, entry.max_cost, before, replies, dearest)


def _has_answered(work_dir: Path, journals: str) -> bool:
    """Tell whether a model has given any answer in a work directory."""
    items = (item for folder in work_dir.glob(journals) for item in all_predictions(folder))
    return any(item.status not in ("model_error", "bad_image") for item in items)


def _body(make: Make, wording: Wording, most_images: int | None) -> bytes:
    request = make()
    count = sum(part["type"] == "image" for turn in request.turns for part in turn.parts)
    if most_images is not None and count > most_images:
        raise ValueError(f"the prompt has {counted(count, 'image')}, and the model takes {most_images}")
    return body_of(request, wording)
