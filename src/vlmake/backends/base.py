"""What every backend is: something that turns a list of requests into a list of outputs, one each, in order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from vlmake.inference.prompts import Part


class OutOfMemoryError(Exception):
    """A batch did not fit the device's memory; a smaller one may."""


class DeviceLostError(Exception):
    """The device is in a state that only a new process gets out of; what it was working on may be the reason."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said in one turn of a conversation."""

    role: Literal["user", "assistant"]
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Row:
    """A benchmark's row as its TSV has it: the text of every cell but the images, and the images' ids."""

    cells: Mapping[str, str | None]
    images: Sequence[str]


@dataclass(frozen=True, slots=True)
class SampleName:
    """Which row of which benchmark (its registered name, without a limit) a question is.

    ``row`` is there for a model that may build its own prompts.
    """

    dataset: str
    index: str
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question: the conversation up to it, and the original bytes of every image it names by digest.

    ``pixels`` are the limits on what the image processor makes of the images (keys of ``model_entries.PixelBudget``).
    ``sample`` is set only for a model that looks its answers up, or is told which benchmark it answers.
    ``reply_schema`` is a JSON schema that the answer has to follow, for servers that can hold a model to one.
    """

    turns: Sequence[Turn]
    images: Mapping[str, bytes]
    max_new_tokens: int
    pixels: Mapping[str, Any] = field(default_factory=dict)
    sample: SampleName | None = None
    reply_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One answer. ``finish_reason`` is ``stop`` or ``length``; token counts are of the prompt and of the answer.

    All but the text is None where it is not known. ``thinking`` is what the model thought, where that stands apart.
    The ``earlier`` tokens are those of answers to the same request that were empty, so that it was asked again.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    thinking: str | None = None
    refused: bool = False
    earlier_prompt_tokens: int = 0
    earlier_completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a loaded model takes: how many images in a prompt (None: any number), system text, earlier turns."""

    max_images: int | None
    system: bool
    history: bool


Deliver = Callable[[Sequence[tuple[int, Output | Exception, float]]], None]
"""Takes answers as they come: the request's number, its output or what is wrong with it, its seconds."""


class Backend(Protocol):
    """A loaded model in two halves: ``prepare`` works on the host, ``generate`` on the device.

    ``prepare`` may run ahead in threads. Either may raise for a batch; the caller then halves it until the faulty
    request is alone. An image that cannot be decoded raises ``vlmake.data.images.ImageError``, a batch that does not
    fit ``OutOfMemoryError``, and after a ``DeviceLostError`` nothing more can be asked of this backend.
    """

    capabilities: Capabilities

    def prepare(self, requests: Sequence[Request]) -> Any:
        """Return what ``generate`` takes: decoded, tiled, tokenised. Safe to call from several threads."""
        ...

    def generate(self, prepared: Any) -> Sequence[Output | Exception]:
        """Return one output per request, in order, or what is wrong with that request alone."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what a record of the run should say.

        Effective settings, fall-backs taken, and counted since the model was loaded ``samples`` by path and ``seconds``
        by phase.
        """
        ...

    def close(self) -> None:
        """End what the backend started."""
        ...


@runtime_checkable
class StreamingBackend(Protocol):
    """A model that takes many requests at once and answers each as it can."""

    capabilities: Capabilities

    def stream(self, requests: Iterator[Callable[[], Request]], deliver: Deliver) -> None:
        """Make and send every request, and hand over what became of it, in the order of the answers.

        ``deliver`` runs in one thread at a time. Raises VlmakeError where nothing more can be asked; what was answered
        until then has been delivered.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """Return what a record of the run should say, as ``Backend.facts`` does."""
        ...

    def close(self) -> None:
        """End what the backend started."""
        ...
