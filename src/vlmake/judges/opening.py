"""A judge made ready to be asked: its model known, its server answering, its place among the run's jobs taken."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlmake import backends
from vlmake.backends.base import StreamingBackend
from vlmake.endpoints.keys import read_key
from vlmake.endpoints.listing import first_model
from vlmake.inference import endpoint_turns
from vlmake.inference.loaded_model import open_model
from vlmake.inference.shard import Asking
from vlmake.judges import checking
from vlmake.judges.judge_spec import JudgeSpec, resolve
from vlmake.models.model_spec import RuntimeOptions
from vlmake.registry.judge_entries import Judge, JudgeEndpointEntry

_FIRST_TRIES = 4  # a judge that answers none of these, some seconds apart, is not there


def with_model(entry: Judge, folder: Path) -> Judge:
    """Return an entry that names its model: the first that its server lists, where nothing else is said.

    ``folder`` may hold .env. Raises VlmakeError where the server cannot be asked.
    """
    if not isinstance(entry, JudgeEndpointEntry) or entry.served_model:
        return entry
    return entry.model_copy(update={"served_model": first_model(entry.api_base, read_key(entry.api_key, folder))})


def how_asked(spec: JudgeSpec, schema: Mapping[str, Any]) -> Asking:
    """Return how a judge is asked; the schema goes to servers that hold models to one."""
    entry: Judge = spec.entry  # type: ignore[assignment]  # a judge's spec has a judge's entry
    return Asking(spec.digest(), entry.max_new_tokens, reply_schema=schema if entry.structured == "auto" else None)


def open_judge(
    spec: JudgeSpec, asking: Asking, started_ns: int | None, stack: ExitStack
) -> tuple[StreamingBackend, Asking]:
    """Wait for one's turn at a judge, start it if it is a command, and see that it answers.

    Returns the judge until ``stack`` ends, and how it can be asked. ``started_ns`` is when the run began (Unix time,
    ns). Raises VlmakeError, one line, for a judge that does not answer; the run's other jobs then do not try it again.
    """
    loaded = open_model(spec, 1, started_ns, stack)
    assert isinstance(loaded.backend, StreamingBackend)  # both kinds of judges are
    stack.enter_context(endpoint_turns.noted(spec))
    return loaded.backend, check(spec, asking, loaded.backend)


def check(spec: JudgeSpec, asking: Asking, backend: StreamingBackend) -> Asking:
    """Ask a judge something small and return how it can be asked; one at an endpoint has few tries."""
    asked = checking.check(_with_few_tries(spec) or backend, asking, spec.name)
    if asking.reply_schema is not None and asked.reply_schema is None:
        print(f"judge {spec.name}: its server takes no JSON schema; replies are read as they come", file=sys.stderr)
    return asked


def see_that_it_answers(name: str, entry: Judge, folder: Path) -> None:
    """Raise VlmakeError, one line, if a judge at an endpoint does not answer; one that a job starts is not asked.

    ``folder`` is the work directory, which may hold .env.
    """
    if isinstance(entry, JudgeEndpointEntry):
        spec = resolve(name, with_model(entry, folder))
        backend = _with_few_tries(spec)
        assert backend is not None  # it is at an endpoint
        checking.check(backend, how_asked(spec, {}), name)


def _with_few_tries(spec: JudgeSpec) -> StreamingBackend | None:
    """Return a judge that gives up soon; None for one that is no endpoint."""
    if not isinstance(spec.entry, JudgeEndpointEntry):
        return None
    few = spec.entry.model_copy(update={"retry": min(_FIRST_TRIES, spec.entry.retry), "max_cost": None})
    backend = backends.load(replace(spec, entry=few), RuntimeOptions("cpu"))
    assert isinstance(backend, StreamingBackend)
    return backend
