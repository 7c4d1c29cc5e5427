"""The host's half of a batch: requests become model inputs. Safe in several threads, none of it touches the device."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vlmake.backends import groups as grouping
from vlmake.backends.processor import batch_kind
from vlmake.backends.rendering import Prompt, render
from vlmake.data.images import open_rgb
from vlmake.errors import counted

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlmake.backends.base import Capabilities, Request

_PATIENCE = 8  # refusals in a row after which a way of sharing is not tried any more


@dataclass(frozen=True, slots=True)
class Prepared:
    """Requests that run together, as model inputs on the host.

    ``mode`` says what they share: nothing (``plain``: inputs of all in one batch), a ``prefix`` (inputs of one request
    a group in one batch) or ``features`` (a batch of one for each group). ``places`` are their positions among what was
    asked. Decoded pictures are not kept: a batch that has to be prepared anew decodes them again.
    """

    places: Sequence[int]
    requests: Sequence[Request]
    mode: str
    inputs: Any
    groups: grouping.Groups | None
    prompt_tokens: Sequence[int]

    @property
    def new_tokens(self) -> int:
        """Return the longest answer that the requests may have: they all agree on it."""
        return self.requests[0].max_new_tokens


class Refusals:
    """Why prompts on the same pictures did not share them, by mode; a mode that refuses time and again is closed."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self._in_a_row: dict[str, int] = {}
        self._lock = threading.Lock()

    def refused(self, mode: str, reason: str) -> None:
        """Count a refusal."""
        with self._lock:
            self.reasons[mode] = reason
            self._in_a_row[mode] = self._in_a_row.get(mode, 0) + 1

    def taken(self, mode: str) -> None:
        """Forget earlier refusals: the mode was of use."""
        with self._lock:
            self._in_a_row[mode] = 0

    def closed(self, mode: str) -> bool:
        """Tell whether the mode is not worth another try."""
        return self._in_a_row.get(mode, 0) >= _PATIENCE


class Preparer:
    """Renders, decodes, tiles and tokenises with a checkpoint's processor.

    Pixels become ``dtype`` here, and lie in page-locked memory where ``pinned``: the copy to the device is then half as
    large and runs beside its work.
    """

    def __init__(
        self, processor: Any, system: str | None, capabilities: Capabilities, dtype: Any, *, pinned: bool
    ) -> None:
        self._processor = processor
        self._system = system
        self._capabilities = capabilities
        self._dtype = dtype
        self._pinned = pinned
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.refusals = Refusals()

    def prepare(self, requests: Sequence[Request], modes: Sequence[str]) -> list[Prepared]:
        """Return the requests as parts that run together.

        ``modes`` are the ways of sharing pictures that may be taken, best first. Raises ImageError for an image that
        cannot be decoded, ValueError for a request that the model cannot take.
        """
        with self._borrowed() as processor:
            prompts = self._render(processor, requests)
            parts = _alike(prompts, partial(batch_kind, processor))
            return [self._part(processor, places, requests, prompts, modes) for places in parts]

    def again(self, part: Prepared, modes: Sequence[str]) -> Prepared:
        """Return a part prepared anew, in the first of ``modes`` that its prompts fit, or plainly."""
        with self._borrowed() as processor:
            prompts = self._render(processor, part.requests)
            made = self._part(processor, range(len(prompts)), part.requests, prompts, modes)
        return Prepared(part.places, part.requests, made.mode, made.inputs, made.groups, made.prompt_tokens)

    def _part(
        self,
        processor: Any,
        places: Sequence[int],
        requests: Sequence[Request],
        prompts: Sequence[Prompt],
        modes: Sequence[str],
    ) -> Prepared:
        """Return prompts that one processor call can take as one part, in the first mode that they fit."""
        asked = [requests[place] for place in places]
        mine = [prompts[place] for place in places]
        if grouping.shared_by_several(mine):
            for mode in modes:
                if self.refusals.closed(mode):
                    continue
                try:
                    inputs, groups, lengths = self._shared(processor, mine, mode)
                except grouping.UnlikeError as error:
                    self.refusals.refused(mode, str(error))
                else:
                    return Prepared(places, asked, mode, inputs, groups, lengths)
        inputs = self._process(processor, mine)
        return Prepared(places, asked, "plain", inputs, None, inputs["attention_mask"].sum(dim=1).tolist())

    def _render(self, processor: Any, requests: Sequence[Request]) -> list[Prompt]:
        decoded: dict[str, Image] = {}

        def decode(name: str, data: bytes) -> Image:
            if name not in decoded:
                decoded[name] = open_rgb(data)
            return decoded[name]

        for request in requests:
            count = sum(part["type"] == "image" for turn in request.turns for part in turn.parts)
            if self._capabilities.max_images is not None and count > self._capabilities.max_images:
                raise ValueError(
                    f"the prompt has {counted(count, 'image')}, and the model takes {self._capabilities.max_images}"
                )
            if len(request.turns) > 1 and not self._capabilities.history:
                raise ValueError("the prompt has earlier turns, and the model's chat template has no place for them")
        return [render(processor, request, self._system, decode) for request in requests]

    def _shared(self, processor: Any, prompts: Sequence[Prompt], mode: str) -> tuple[Any, grouping.Groups, list[int]]:
        """Return the inputs of one prompt a group, all prompts as tokens, and their lengths."""
        texts = grouping.split_texts(prompts, _placeholder(processor, prompts[0]))
        if mode == "prefix" and not texts.same_start():
            raise grouping.UnlikeError("the prompts do not begin with their pictures")
        firsts = [prompts[place] for place in texts.firsts]
        if mode == "prefix":
            inputs: Any = self._process(processor, firsts)
            batches = [(inputs, number) for number in range(len(firsts))]
        else:
            inputs = [self._process(processor, [first]) for first in firsts]
            batches = [(batch, 0) for batch in inputs]
        whole = [batch["input_ids"][row][batch["attention_mask"][row] == 1].tolist() for batch, row in batches]
        starts = not _starts_itself(prompts[0], processor.tokenizer)
        groups = grouping.join_tokens(texts, whole, processor.tokenizer, starts=starts)
        owners = [groups.rows[first] for first in groups.firsts]
        pictures = [len(ids) - len(row.before) - len(row.after) for ids, row in zip(whole, owners, strict=True)]
        return inputs, groups, [pictures[row.group] + len(row.before) + len(row.after) for row in groups.rows]

    def _process(self, processor: Any, prompts: Sequence[Prompt]) -> Any:
        """Run the processor over prompts with equal options: padded token tensors, and pixels."""
        images = [list(prompt.images) for prompt in prompts]
        inputs = processor(
            text=[prompt.text for prompt in prompts],
            images=images if any(images) else None,
            add_special_tokens=not _starts_itself(prompts[0], processor.tokenizer),
            padding=True,
            return_tensors="pt",
            **next((prompt.options for prompt in prompts if prompt.images), {}),
        ).to(dtype=self._dtype)
        if self._pinned:
            for name, tensor in inputs.items():
                inputs[name] = tensor.pin_memory()
        return inputs

    @contextmanager
    def _borrowed(self) -> Iterator[Any]:
        """Yield a processor of one's own: a fast tokenizer must not be used by two threads at once.

        There are as many copies as threads ever worked at once.
        """
        try:
            processor = self._idle.get_nowait()
        except queue.Empty:
            processor = copy.deepcopy(self._processor)
        try:
            yield processor
        finally:
            self._idle.put(processor)


def _placeholder(processor: Any, prompt: Prompt) -> str:
    """Return what stands for a picture in the rendered text: Gemma's template writes another token there."""
    for name in ("image_token", "boi_token", "start_of_image_token"):
        token = getattr(processor, name, None)
        if token and token in prompt.text:
            return str(token)
    raise grouping.UnlikeError("the rendered prompt shows no placeholder")


def _alike(prompts: Sequence[Prompt], kind: Callable[[int], int]) -> list[list[int]]:
    """Return the positions of prompts that one batch can take: equal in kind, options and longest answer.

    ``kind`` tells by the number of pictures which prompts must not mix. Prompts without pictures go along with the
    first that they may, unless pictures are shared: they belong to no group.
    """
    parts: dict[tuple[int, int, str], list[int]] = {}
    texts: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        if prompt.images:
            key = (prompt.max_new_tokens, kind(len(prompt.images)), repr(sorted(prompt.options.items())))
            parts.setdefault(key, []).append(place)
        else:
            texts.setdefault(prompt.max_new_tokens, []).append(place)
    shared = grouping.shared_by_several(prompts)
    for tokens, places in texts.items():
        host = next((key for key in parts if key[:2] == (tokens, kind(0))), None)
        if shared or host is None:
            parts[(tokens, -1, "")] = places
        else:
            parts[host] = sorted(parts[host] + places)
    return list(parts.values())


def _starts_itself(prompt: Prompt, tokenizer: Any) -> bool:
    """Tell whether the chat template wrote the token that the tokenizer would otherwise put first."""
    return tokenizer.bos_token is not None and prompt.text.startswith(tokenizer.bos_token)
