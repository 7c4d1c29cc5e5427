"""A judge made ready to be asked: its model known, its server answering, its place among the run's jobs taken."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vlmake import backends
from vlmake.backends.base import StreamingBackend
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.keys import read_key
from vlmake.endpoints.listing import first_model
from vlmake.errors import VlmakeError
from vlmake.inference import endpoint_turns
from vlmake.inference.loaded_model import has_unleased_engine, open_model
from vlmake.judges import checking
from vlmake.judges.judge_spec import JudgeSpec, resolve
from vlmake.models.model_spec import RuntimeOptions
from vlmake.registry.judge_entries import Judge, JudgeEndpointEntry, JudgeServerEntry

_FIRST_TRIES = 4  # a judge that answers none of these, some seconds apart, is not there


def with_model(entry: Judge, folder: Path) -> Judge:
    """Return an entry that names its model: the first that its server lists, where nothing else is said.

    ``folder`` may hold .env. Raises VlmakeError where the server cannot be asked.
    """
    if not isinstance(entry, JudgeEndpointEntry) or entry.served_model:
        return entry
    return entry.model_copy(
        update={"served_model": first_model(entry.api_base, read_key(entry.api_key, folder).at(entry.api_base))}
    )


@dataclass(frozen=True)
class OpenJudge:
    """A judge that answers, and whether its server holds replies to a JSON schema."""

    backend: StreamingBackend
    takes_schemas: bool


class JudgeAtHand:
    """Opens a judge when it is first called for, and closes it at the end of the ``with`` block.

    To open it is to wait for one's turn, to start it if it is a command, and to see that it answers. ``started_ns`` is
    when the run began (Unix time, ns).
    """

    def __init__(self, spec: JudgeSpec, started_ns: int | None) -> None:
        self._spec, self._started_ns = spec, started_ns
        self._stack = ExitStack()
        self._judge: OpenJudge | None = None
        self._has_turn = has_unleased_engine(spec.entry)

    def __enter__(self) -> "JudgeAtHand":
        if self._has_turn:  # before the answers are kept: the job whose engine runs asks about these as well
            self._stack.enter_context(endpoint_turns.turn(self._spec))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def is_open(self) -> bool:
        """Whether it was called for."""
        return self._judge is not None

    def __call__(self) -> OpenJudge:
        """Return the judge; VlmakeError, one line, for one that does not answer: the run's other jobs do not try it."""
        if self._judge is None:
            self._judge = self._open()
        return self._judge

    def _open(self) -> OpenJudge:
        spec = self._spec
        try:
            loaded = open_model(spec, 1, self._started_ns, self._stack, has_turn=self._has_turn)
        except VlmakeError as error:
            if isinstance(spec.entry, JudgeServerEntry):  # one that does not start is one that does not answer
                raise EndpointStoppedError(str(error)) from None
            raise
        assert isinstance(loaded.backend, StreamingBackend)  # both kinds of judges are
        self._stack.enter_context(endpoint_turns.noted(spec))
        takes = checking.takes_schemas(_with_few_tries(spec) or loaded.backend, spec.max_new_tokens)
        if not takes and spec.may_be_structured:
            print(f"judge {spec.name}: its server takes no JSON schema; replies are read as they come", file=sys.stderr)
        return OpenJudge(loaded.backend, takes and spec.may_be_structured)


def see_that_it_answers(name: str, entry: Judge, folder: Path) -> None:
    """Raise VlmakeError, one line, if a judge at an endpoint does not answer; one that a job starts is not asked.

    ``folder`` is the work directory, which may hold .env.
    """
    if isinstance(entry, JudgeEndpointEntry):
        try:
            spec = resolve(name, with_model(entry, folder))
            backend = _with_few_tries(spec)
            assert backend is not None  # it is at an endpoint
            checking.takes_schemas(backend, spec.max_new_tokens)
        except VlmakeError as error:
            raise VlmakeError(f"judge '{name}': {error}") from None


def _with_few_tries(spec: JudgeSpec) -> StreamingBackend | None:
    """Return a judge that gives up soon; None for one that is no endpoint."""
    if not isinstance(spec.entry, JudgeEndpointEntry):
        return None
    few = spec.entry.model_copy(update={"retry": min(_FIRST_TRIES, spec.entry.retry), "max_cost": None})
    backend = backends.load(replace(spec, entry=few), RuntimeOptions("cpu"))
    assert isinstance(backend, StreamingBackend)
    return backend
