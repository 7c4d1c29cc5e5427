"""The jobs of a run take turns at an endpoint, and what stopped one of them stops the others.

One job asks as many questions at once as the server likes; two would each search for that number and find half. A wrong
key or an empty account is the same for every job, so it is not tried again by each of a hundred. Jobs that start their
server themselves take turns where it runs on no leased device: nothing else keeps them from starting one for each core.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlmake import paths
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.errors import VlmakeError
from vlmake.locks import hold
from vlmake.models.model_spec import ModelSpec
from vlmake.store import write_text


@contextmanager
def turn(model: ModelSpec) -> Iterator[None]:
    """Wait for one's turn at the server of a model and keep it, in the current work directory."""
    with hold(Path(paths.endpoint_lock(model.home)), f"{model.name}: another job asks its server; waiting for it"):
        yield


def refuse_if_stopped(model: ModelSpec, started_ns: int | None) -> None:
    """Raise EndpointStoppedError where a job of the same run was stopped, with what stopped it.

    ``started_ns`` is when the run began (Unix time, ns).
    """
    note = Path(paths.endpoint_note(model.home))
    if started_ns is not None and note.is_file() and note.stat().st_mtime_ns >= started_ns:
        raise EndpointStoppedError(note.read_text(encoding="utf-8"))


@contextmanager
def noted(model: ModelSpec, stop: type[VlmakeError] = EndpointStoppedError) -> Iterator[None]:
    """Leave a note for the run's other jobs if the server stops this one, which errors of the kind ``stop`` say."""
    try:
        yield
    except stop as error:
        write_text(Path(paths.endpoint_note(model.home)), str(error))
        raise
