"""A model that the job serves for itself: an engine is started on its devices, asked, and always stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmake import paths
from vlmake.backends.base import Capabilities, Deliver, Output, Request
from vlmake.backends.endpoint import endpoint_backend, wording_of
from vlmake.endpoints.faults import RejectedError, ServerGoneError
from vlmake.endpoints.keys import read_key
from vlmake.endpoints.messages import Wording
from vlmake.endpoints.spending import Spending
from vlmake.errors import VlmakeError
from vlmake.locks import try_hold
from vlmake.servers.process import ServerProcess, start
from vlmake.servers.readiness import PortTakenError, wait_until_ready

if TYPE_CHECKING:
    from vlmake.models.model_spec import ModelSpec, RuntimeOptions
    from vlmake.registry.model_entries import ServerEntry
    from vlmake.servers.ports import PortLease

_FUTILE_STARTS = 3
_PORTS = 3  # a port that is free when it is drawn may be taken by the time the engine listens

Make = Callable[[], Request]
Answers = Sequence[tuple[int, Output | Exception, float]]


class ServerBackend:
    """A server of one's own. When it dies it is started again, and what it was working on is asked one by one."""

    def __init__(self, spec: ModelSpec, runtime: RuntimeOptions) -> None:
        self._entry: ServerEntry = spec.entry  # type: ignore[assignment]  # the registry gave this backend its kind
        self.capabilities = Capabilities(self._entry.max_images, system=True, history=True)
        self._spec, self._runtime = spec, runtime
        self._key = read_key(self._entry.api_key, Path.cwd())
        self._starts = self._futile = 0
        self._server: ServerProcess
        with ExitStack() as held:
            self._log = _own_log(spec.home, held)
            wording = self._started()
            held.callback(lambda: self._server.stop())  # the one that runs then
            self._endpoint = endpoint_backend(self._server.root, wording, self._entry, Spending(), Path.cwd())
            self._held = held.pop_all()

    def stream(self, requests: Iterator[Make], deliver: Deliver) -> None:
        """Send every request; one at which the server dies alone has that for its answer."""
        course = _Course(enumerate(requests), deliver)
        while not self._asked(course, course.fresh()):
            suspects = course.unanswered()
            self._restart()
            for suspect in suspects:
                if not self._asked(course, [suspect]):
                    why = RejectedError(f"the server died at this sample alone: {self._last_words()}")
                    course.deliver([(suspect[0], why, 0.0)])
                    self._restart()

    def facts(self) -> dict[str, Any]:
        """Return how the server was started and used."""
        return self._endpoint.facts() | {"command": self._entry.command, "starts": self._starts}

    def close(self) -> None:
        """Stop the server and all it started."""
        self._held.close()

    def _asked(self, course: _Course, numbered: Iterable[tuple[int, Make]]) -> bool:
        """Ask; return whether the server lived through it."""
        before = course.answered
        try:
            self._endpoint.ask(iter(numbered), course.deliver, self._server.is_alive)
        except ServerGoneError:
            return False
        finally:
            if course.answered > before:
                self._futile = 0
        return True

    def _restart(self) -> None:
        """Start the server that died again, at its port; VlmakeError where it only dies."""
        self._futile += 1
        if self._futile > _FUTILE_STARTS:
            raise VlmakeError(
                f"the server died {self._futile} times without an answer between ({self._server.ending()}):"
                f" {self._last_words()} ({self._server.log})"
            )
        self._server.stop(keep_port=True)
        print(
            f"{self._spec.name}: the server died ({self._server.ending()}): {self._last_words(1) or 'no word of it'}"
            f" ({self._server.log}); start {self._starts + 1} follows",
            file=sys.stderr,
            flush=True,
        )
        self._server = self._start(self._server.port)
        self._ready()

    def _started(self, ports: int = _PORTS) -> Wording:
        """Start the server at a port that nobody else takes meanwhile; return how it is asked."""
        self._server = self._start()
        try:
            return self._ready()
        except PortTakenError:
            if ports == 1:
                raise
        return self._started(ports - 1)

    def _start(self, port: PortLease | None = None) -> ServerProcess:
        self._starts += 1
        places = {"path": str(self._spec.folder), "name": self._spec.name, "gpus": str(max(1, self._entry.gpus))}
        key = {} if self._key.variable is None else {self._key.variable: self._key.value or ""}
        return start(self._entry.command, places, self._log, key, self._runtime.descriptors, port)

    def _ready(self) -> Wording:
        """Wait until the server answers; return how it is asked. A server that does not is stopped."""
        wording = wording_of(self._entry, self._entry.served_model or "")
        try:
            return wait_until_ready(
                self._server,
                wording,
                str(self._spec.folder),
                self._entry.start_timeout,
                self._key,
                with_picture=self._entry.first_question == "picture",
            )
        except BaseException:
            self._server.stop()
            raise

    def _last_words(self, lines: int = 3) -> str:
        return self._key.hidden_in(self._server.last_words(lines))


def _own_log(model: str, held: ExitStack) -> Path:
    """Return the first of a model's logs that no other job's server writes to, kept until ``held`` ends."""
    logs = (Path(paths.server_log(model, number)) for number in count(1))
    return next(log for log in logs if held.enter_context(try_hold(log)))


class _Course:
    """Which requests were taken, and which of them have no answer yet."""

    def __init__(self, numbered: Iterator[tuple[int, Make]], deliver: Deliver) -> None:
        self._numbered, self._deliver = numbered, deliver
        self._open: dict[int, Make] = {}
        self.answered = 0

    def fresh(self) -> Iterator[tuple[int, Make]]:
        """Yield the requests that were not taken before."""
        for number, make in self._numbered:
            self._open[number] = make
            yield number, make

    def unanswered(self) -> list[tuple[int, Make]]:
        """Return what was taken and not answered."""
        return sorted(self._open.items())

    def deliver(self, answers: Answers) -> None:
        """Hand answers over."""
        self._deliver(answers)
        self.answered += len(answers)
        for number, _, _ in answers:
            self._open.pop(number, None)


def load(spec: ModelSpec, runtime: RuntimeOptions) -> ServerBackend:
    """Start the server that the spec's entry commands; returns when it answers. VlmakeError if it does not."""
    return ServerBackend(spec, runtime)
