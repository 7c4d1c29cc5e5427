"""What every backend is: something that turns a list of requests into a list of outputs, one each, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vlmake.prompts import Part


@dataclass(frozen=True, slots=True)
class Request:
    """One question: its messages, and the original bytes of every image they name by digest."""

    messages: Sequence[Part]
    images: Mapping[str, bytes]
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Output:
    """One answer. ``finish_reason`` is ``stop`` or ``length``; token counts are of the prompt and of the answer."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Backend(Protocol):
    """A loaded model.

    ``generate`` may raise for a batch; the caller then halves it until the faulty request is alone. An image that
    cannot be decoded raises ``vlmake.images.ImageError``.
    """

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """Return one output per request, in order."""
        ...
