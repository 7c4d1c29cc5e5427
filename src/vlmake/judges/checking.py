"""Does a judge answer, and can its server hold replies to a JSON schema? One small request tells."""

from collections.abc import Mapping
from typing import Any

from vlmake.backends.base import Output, Request, StreamingBackend, Turn
from vlmake.endpoints.faults import EndpointStoppedError, RejectedError

_QUESTION = 'Reply with this JSON object and nothing else: {"answer": "A"}'
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def takes_schemas(judge: StreamingBackend, max_new_tokens: int) -> bool:
    """Ask a judge something small; return whether it can be asked for JSON that follows a schema.

    Raises EndpointStoppedError, one line, for a judge that does not answer.
    """
    result = _reply(judge, max_new_tokens, _SCHEMA)
    if isinstance(result, RejectedError) and not isinstance(_reply(judge, max_new_tokens, None), Exception):
        return False
    if isinstance(result, Exception):
        raise EndpointStoppedError(f"it does not answer: {result}")
    return True


def _reply(judge: StreamingBackend, max_new_tokens: int, schema: Mapping[str, Any] | None) -> Output | Exception:
    replies: list[Output | Exception] = []
    turn = Turn("user", [{"type": "text", "text": _QUESTION}])
    request = Request([turn], {}, max_new_tokens, reply_schema=schema)
    judge.stream(iter([lambda: request]), lambda answers: replies.extend(result for _, result, _ in answers))
    return replies[0]
