"""The jobs of a run take turns at an endpoint, and what stopped one of them stops the others.

One job asks as many questions at once as the server likes; two would each search for that number and find half, and
send twice the requests a minute. So all models and judges behind one address and key take turns. No job waits for a
second turn while it has one, so none waits for ever. A wrong key or an empty account is the same for every job, so it
is not tried again by each of a hundred. Jobs that start their server themselves take turns where it runs on no leased
device: nothing else keeps them from starting one for each core.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from vlmake import paths
from vlmake.endpoints.address import chat_url, shown
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.errors import VlmakeError
from vlmake.locks import hold
from vlmake.models.model_spec import ModelSpec
from vlmake.registry.model_entries import EndpointEntry
from vlmake.store import text_digest, write_text

_DIGITS = 16


@contextmanager
def turn(model: ModelSpec) -> Iterator[None]:
    """Wait for one's turn at the server of a model and keep it, in the current work directory."""
    account = _account(model)
    lock = paths.server_lock(model.home) if account is None else paths.account_lock(account)
    with hold(Path(lock), f"{model.name}: another job asks its server; waiting for it"):
        yield


def refuse_if_stopped(model: ModelSpec, started_ns: int | None) -> None:
    """Raise EndpointStoppedError where a job of the same run was stopped, with what stopped it.

    ``started_ns`` is when the run began (Unix time, ns).
    """
    account = _account(model)
    notes = [paths.endpoint_note(model.home)] + ([paths.account_note(account)] if account is not None else [])
    for note in map(Path, notes):
        if started_ns is not None and note.is_file() and note.stat().st_mtime_ns >= started_ns:
            raise EndpointStoppedError(note.read_text(encoding="utf-8"))


@contextmanager
def noted(model: ModelSpec, stop: type[VlmakeError] = EndpointStoppedError) -> Iterator[None]:
    """Leave a note for the run's other jobs if the server stops this one, which errors of the kind ``stop`` say.

    What concerns the address or the key is noted for all models and judges behind them.
    """
    try:
        yield
    except stop as error:
        account = _account(model) if isinstance(error, EndpointStoppedError) and error.whole_account else None
        note = paths.endpoint_note(model.home) if account is None else paths.account_note(account)
        write_text(Path(note), str(error))
        raise


def _account(model: ModelSpec) -> str | None:
    """Return a name, without secrets, for the address and the key's variable of a model; None if it is no endpoint."""
    entry = model.entry
    if not isinstance(entry, EndpointEntry):
        return None
    parts = urlsplit(shown(chat_url(entry.api_base)))
    return text_digest(f"{parts.scheme}://{parts.netloc.lower()}{parts.path} {entry.api_key}")[:_DIGITS]
