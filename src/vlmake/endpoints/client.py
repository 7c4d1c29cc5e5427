"""Many requests to one server at once, as many as it likes, each tried until it is answered or its budget is spent.

One coroutine decides what is sent: retries that are due, then new requests, up to the adaptive limit and the requests a
minute. Requests are taken from an iterator when they can be sent, and a body is made again for every attempt, so memory
is bounded by what is under way. Answers are handed over in the groups in which they come.
"""

import asyncio
import contextlib
import heapq
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import aiohttp

from vlmake.backends.base import Output
from vlmake.endpoints.concurrency import TOO_MANY, Concurrency
from vlmake.endpoints.exchange import Endpoint, sender
from vlmake.endpoints.faults import EndpointStoppedError, FilteredError, RejectedError, ServerGoneError, TransientError
from vlmake.endpoints.notices import Notices
from vlmake.endpoints.spending import Spending

_LONGEST_WAIT_S = 60.0
_DOUBLED_WHILE_ANSWERED = 2  # a server that answers others is not down: it need not be left alone for long
_EMPTY_AT_MOST = 4  # asked this often, an empty answer is the model's own
_FAILED_AT_MOST = 5  # so many requests refused or given up and none answered: the samples are not the reason
_REFUSED_AT_MOST = 3  # so many in a row that might each be the sample's own fault: they are not
_UNREACHED_AT_MOST = 5  # attempts at one request while nothing ever was there to take one
_CONNECT_S = 30.0
_LOOK_EVERY_S = 1.0
_GATHERED_S = 0.02  # answers of so long are written together: each writing costs a sync of the disk


@dataclass(frozen=True, slots=True)
class Call:
    """One request: a number of its own, and how its JSON body is made; ``heavy`` bodies are made in a thread."""

    number: int
    body: Callable[[], bytes]
    heavy: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call: an output, or the exception in which its last attempt ended, and its seconds."""

    number: int
    result: Output | Exception
    seconds: float


Deliver = Callable[[Sequence[Answer]], None]


class Client:
    """Asks one server; what was learnt about it is kept from one ``ask`` to the next."""

    def __init__(
        self, endpoint: Endpoint, spending: Spending, has_answered: Callable[[], bool] = lambda: False
    ) -> None:
        self.endpoint = endpoint
        self.spending = spending
        self.has_answered = has_answered
        """Whether the server is known to have answered earlier; looked up only where it matters."""
        self.notices = Notices(endpoint.shown)
        self.first_call: float | None = None
        """When the first request went out."""
        self.is_reached = False
        """Whether anything was ever there to take a request."""
        self.refused_in_a_row = 0
        """Refusals that may be the samples' own, since the last answer."""
        self.concurrency = Concurrency(endpoint.most)
        self.counts: Counter[str] = Counter()
        """How many ``calls`` were made and ``answered``, and how many failed by reason."""
        self.next_start = 0.0
        """When the next request may go out, where there may be only so many in a minute."""
        self._made = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since this client was made: one clock for all that it asks."""
        return time.monotonic() - self._made

    def ask(self, calls: Iterator[Call], deliver: Deliver, is_alive: Callable[[], bool] | None = None) -> None:
        """Send every call and hand over what became of it, in the order of the answers.

        ``deliver`` runs in a thread, never twice at once. ``is_alive`` tells whether the server still runs, where that
        can be seen. Raises EndpointStoppedError as soon as nothing more can be asked, ServerGoneError when the server
        does not live, and whatever ``calls`` or ``deliver`` raise; what was answered until then has been delivered.
        """
        asyncio.run(self._ask(calls, deliver, is_alive))

    async def _ask(self, calls: Iterator[Call], deliver: Deliver, is_alive: Callable[[], bool] | None) -> None:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout, sock_connect=_CONNECT_S),
            ) as session,
            _Outbox(deliver) as outbox,
            _Asking(self, sender(session, self.endpoint), calls, outbox, is_alive) as asking,
        ):
            await asking.run()


class _Outbox:
    """Answers on their way to a slow place: what comes while one group is being written makes the next."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._waiting: list[Answer] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def __aenter__(self) -> "_Outbox":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        if self._writing is not None:
            await self._writing
        await self._write()

    def add(self, answer: Answer) -> None:
        """Hand an answer over soon; raises what handing over earlier ones raised."""
        self._waiting.append(answer)
        if self._writing is not None and self._writing.done():
            self._writing.result()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _GATHERED_S)
            group, self._waiting = self._waiting, []
            await asyncio.to_thread(self._deliver, group)


@dataclass(slots=True)
class _Job:
    """A call and what was tried for it."""

    call: Call
    attempts: int = 0
    throttled: int = 0
    empty: int = 0
    prompt_tokens: int = 0  # of its empty answers
    completion_tokens: int = 0
    seconds: float = 0.0
    answered_before: int = 0


class _Asking:
    """One ``ask``: the requests under way, those that wait for another attempt, and those not yet taken."""

    def __init__(
        self,
        client: Client,
        send: Callable[[bytes], Awaitable[Output]],
        calls: Iterator[Call],
        outbox: _Outbox,
        is_alive: Callable[[], bool] | None,
    ) -> None:
        self._client, self._exchange, self._calls, self._outbox = client, send, calls, outbox
        self._is_alive = is_alive
        self._endpoint, self._concurrency = client.endpoint, client.concurrency
        self._retries: list[tuple[float, int, _Job]] = []  # a heap by the moment when each is due
        self._under_way: set[asyncio.Task[None]] = set()
        self._taken: Call | None = None  # from the calls, and not yet sent
        self._exhausted = False
        self._news = asyncio.Event()
        self._stopped: BaseException | None = None
        self._random = random.Random(0)  # spreads retries in time; no answer depends on it

    async def __aenter__(self) -> "_Asking":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def run(self) -> None:
        """Send until every call has its answer."""
        while True:
            look_again = self._send()
            if self._exhausted and not self._under_way and not self._retries:
                return
            self._news.clear()
            moments = (look_again, self._silence(), _LOOK_EVERY_S if self._is_alive is not None else None)
            look_again = min((moment for moment in moments if moment is not None), default=None)
            try:
                async with asyncio.timeout(look_again):
                    await self._news.wait()
            except TimeoutError:
                pass
            if self._stopped is not None:
                raise self._stopped
            if self._is_alive is not None and not self._is_alive():
                raise ServerGoneError("the server ended")

    def _silence(self) -> float | None:
        """Tell of a server that has answered nothing; return the seconds until there is something to tell, if any."""
        if self._client.counts["answered"] or self._client.first_call is None:
            return None
        return self._client.notices.silent(self._elapsed() - self._client.first_call, len(self._under_way))

    def _send(self) -> float | None:
        """Start what may be started; return the seconds after which to look again, None: when an answer comes."""
        while len(self._under_way) < self._concurrency.limit:
            if (pause := self._client.next_start - self._elapsed()) > 0:
                return pause
            job = self._next_job()
            if job is None:
                return max(0.01, self._retries[0][0] - self._elapsed()) if self._retries else None
            if self._endpoint.per_minute:
                self._client.next_start = max(self._client.next_start, self._elapsed()) + 60 / self._endpoint.per_minute
            task = asyncio.create_task(self._attempt(job))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return None

    def _next_job(self) -> _Job | None:
        is_due = bool(self._retries) and self._retries[0][0] <= self._elapsed()
        if not is_due and not self._has_fresh_call():
            return None
        if not self._client.spending.allows_one_more(len(self._under_way)):
            return None
        if is_due:
            return heapq.heappop(self._retries)[2]
        call, self._taken = self._taken, None
        return _Job(call) if call is not None else None

    def _has_fresh_call(self) -> bool:
        """Take the next call, if there is one and not too many wait for another attempt: none where nothing listens."""
        most = 2 * self._endpoint.most if self._is_there() else 1
        if self._taken is None and not self._exhausted and len(self._retries) < most:
            self._taken = next(self._calls, None)
            self._exhausted = self._taken is None
        return self._taken is not None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            error = task.exception()  # asyncio prints those that nobody looked at
            self._stopped = self._stopped or error
        self._news.set()

    async def _attempt(self, job: _Job) -> None:
        began = self._elapsed()
        job.attempts += 1
        try:
            body = await asyncio.to_thread(job.call.body) if job.call.heavy else job.call.body()
        except Exception as error:  # an image that does not decode, or one too many: it costs this question alone
            self._outbox.add(Answer(job.call.number, error, job.seconds))
            return
        self._client.counts["calls"] += 1
        if self._client.first_call is None:
            self._client.first_call = self._elapsed()
        try:
            result: Output | Exception = await self._output(job, body)
        except TransientError as fault:
            job.seconds += self._elapsed() - began
            self._after(job, fault)
            return
        except RejectedError as error:
            self._stop_if_none_is_answered(error)
            result = error
        except EndpointStoppedError as stop:
            result = self._refused_alone(stop)
        except FilteredError as error:
            result = Output(str(error), "content_filter", None, None, refused=True)
        seconds = self._elapsed() - began
        if not isinstance(result, Exception):
            self._client.counts["answered"] += 1
            self._client.refused_in_a_row = 0
            self._concurrency.answered(seconds, self._elapsed())
        self._deliver(job, result, job.seconds + seconds)

    def _deliver(self, job: _Job, result: Output | Exception, seconds: float) -> None:
        if isinstance(result, RejectedError):
            result.prompt_tokens, result.completion_tokens = job.prompt_tokens, job.completion_tokens
        self._outbox.add(Answer(job.call.number, result, seconds))

    def _refused_alone(self, stop: EndpointStoppedError) -> RejectedError:
        """Return what a sample was refused with that may be the reason alone; raises what stops everything else.

        It may be where the server has answered others, and not too many are refused one after the other.
        """
        self._client.refused_in_a_row += 1
        in_a_row = self._client.refused_in_a_row >= _REFUSED_AT_MOST
        if stop.refused is None or in_a_row or not (self._client.counts["answered"] or self._client.has_answered()):
            raise stop
        self._client.counts["refused"] += 1
        return RejectedError(stop.refused)

    async def _output(self, job: _Job, body: bytes) -> Output:
        output = await self._exchange(body)
        self._client.spending.add(output.prompt_tokens, output.completion_tokens)
        if not output.text.strip() and not output.refused and output.finish_reason != "length":
            job.empty += 1
            if job.empty < _EMPTY_AT_MOST:
                job.prompt_tokens += output.prompt_tokens or 0
                job.completion_tokens += output.completion_tokens or 0
                raise TransientError("an empty answer")
        return replace(output, earlier_prompt_tokens=job.prompt_tokens, earlier_completion_tokens=job.completion_tokens)

    def _after(self, job: _Job, fault: TransientError) -> None:
        """Put a call whose attempt failed in line again, or give it up."""
        self._client.counts[_kind(fault)] += 1
        self._concurrency.failed(fault.status, self._elapsed())
        self._stop_if_nothing_is_there(job, fault)
        if job.attempts >= self._endpoint.attempts:
            given_up = RejectedError(f"gave up after {job.attempts} attempts; the last: {fault}")
            self._stop_if_none_is_answered(given_up)
            self._deliver(job, given_up, job.seconds)
            return
        wait = max(self._wait(job, fault), fault.retry_after or 0.0)
        self._client.notices.failed(_kind(fault), str(fault), wait)
        heapq.heappush(self._retries, (self._elapsed() + wait, self._client.counts["calls"], job))

    def _wait(self, job: _Job, fault: TransientError) -> float:
        """Return how long a call waits for its next attempt: twice as long each time, spread at random."""
        answered = self._client.counts["answered"]
        doubled = job.attempts - 1
        if fault.status == TOO_MANY:
            job.throttled += 1
            doubled = job.throttled - 1
        elif answered > job.answered_before:
            doubled = min(doubled, _DOUBLED_WHILE_ANSWERED)
        job.answered_before = answered
        longest: float = self._endpoint.first_wait * 2**doubled
        return min(_LONGEST_WAIT_S, longest) * self._random.uniform(0.5, 1.0)

    def _stop_if_nothing_is_there(self, job: _Job, fault: TransientError) -> None:
        """Raise EndpointStoppedError after some attempts at an address where nothing listens.

        A server that this job started is waited for: whether it lives is known.
        """
        self._client.is_reached |= fault.reached
        if not self._is_there() and self._is_alive is None and job.attempts >= _UNREACHED_AT_MOST:
            raise EndpointStoppedError(
                f"nothing answers at {self._endpoint.shown} ({fault}): start the server or correct `api_base`, then run"
                " the same command again",
                whole_account=True,
            )

    def _is_there(self) -> bool:
        """Tell whether anything ever took a request."""
        return self._client.is_reached or self._client.counts["answered"] + self._client.counts["failed"] > 0

    def _stop_if_none_is_answered(self, error: RejectedError) -> None:
        counts = self._client.counts
        counts["failed"] += 1
        if not counts["answered"] and counts["failed"] >= _FAILED_AT_MOST:
            raise EndpointStoppedError(
                f"{self._endpoint.shown} answered none of the first {counts['failed']} requests, the last: {error};"
                " check `api_base` and the model's entry"
            )

    def _elapsed(self) -> float:
        return self._client.elapsed()


def _kind(fault: TransientError) -> str:
    """Return a short name of a fault to count it by."""
    return str(fault).split(":")[0][:60]
