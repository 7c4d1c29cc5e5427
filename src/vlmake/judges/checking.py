"""Does a judge answer, and can its server hold replies to a JSON schema? One small request tells."""

from dataclasses import replace

from vlmake.backends.base import Output, Request, StreamingBackend, Turn
from vlmake.endpoints.faults import RejectedError
from vlmake.errors import VlmakeError
from vlmake.inference.shard import Asking

_QUESTION = 'Reply with this JSON object and nothing else: {"answer": "A"}'


def check(backend: StreamingBackend, asking: Asking, who: str) -> Asking:
    """Ask the judge something small; return how it can be asked: without a schema where it takes none.

    Raises VlmakeError, one line, for a judge that does not answer.
    """
    result = _reply(backend, asking)
    if isinstance(result, RejectedError) and asking.reply_schema is not None:
        plain = replace(asking, reply_schema=None)
        if not isinstance(_reply(backend, plain), Exception):
            return plain
    if isinstance(result, Exception):
        raise VlmakeError(f"judge '{who}' does not answer: {result}")
    return asking


def _reply(backend: StreamingBackend, asking: Asking) -> Output | Exception:
    replies: list[Output | Exception] = []
    request = Request(
        [Turn("user", [{"type": "text", "text": _QUESTION}])],
        {},
        asking.max_new_tokens,
        reply_schema=asking.reply_schema,
    )
    backend.stream(iter([lambda: request]), lambda answers: replies.extend(result for _, result, _ in answers))
    return replies[0]
