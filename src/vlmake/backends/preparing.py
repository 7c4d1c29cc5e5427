"""The host's half of a batch: requests become model inputs. Safe in several threads, none of it touches the device."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from vlmake.backends import groups as grouping
from vlmake.backends.processor import batch_kind
from vlmake.backends.rendering import Prompt, render
from vlmake.images import open_rgb

if TYPE_CHECKING:
    from vlmake.backends.base import Capabilities, Request

_REMEMBERED_IMAGES = 16  # neighbouring questions share an image; decoding it once per batch is enough


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prompts that run together, as model inputs on the host.

    ``mode`` says what they share: nothing (``plain``: inputs of all prompts in one batch), a ``prefix`` (inputs of one
    prompt a group in one batch) or ``features`` (a batch of one for each group). ``places`` are the prompts' positions
    among the requests.
    """

    places: Sequence[int]
    prompts: Sequence[Prompt]
    mode: str
    inputs: Any
    groups: grouping.Groups | None
    prompt_tokens: Sequence[int]

    @property
    def new_tokens(self) -> int:
        """Return the longest answer that any of the prompts may have."""
        return max(prompt.max_new_tokens for prompt in self.prompts)


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
        self._decode_image = lru_cache(_REMEMBERED_IMAGES)(open_rgb)
        self._own = threading.local()
        self.unlike: dict[str, str] = {}  # by mode: why some prompts on the same pictures did not share them

    def prepare(self, requests: Sequence[Request], modes: Sequence[str]) -> list[Prepared]:
        """Return the requests as parts that run together.

        ``modes`` are the ways of sharing pictures that may be taken, best first. Raises ImageError for an image that
        cannot be decoded, ValueError for a request that the model cannot take.
        """
        prompts = [self._render(request) for request in requests]
        parts = _alike(prompts, partial(batch_kind, self._processor))
        return [self.prepare_part(places, [prompts[place] for place in places], modes) for places in parts]

    def prepare_part(self, places: Sequence[int], prompts: Sequence[Prompt], modes: Sequence[str]) -> Prepared:
        """Return prompts with equal image options as one part, in the first mode that they fit."""
        if grouping.shared_by_several(prompts):
            for mode in modes:
                try:
                    return self._prepare_groups(places, prompts, mode)
                except grouping.UnlikeError as error:
                    self.unlike[mode] = str(error)
        inputs = self._process(prompts)
        return Prepared(places, prompts, "plain", inputs, None, inputs["attention_mask"].sum(dim=1).tolist())

    def _render(self, request: Request) -> Prompt:
        count = sum(part["type"] == "image" for turn in request.turns for part in turn.parts)
        most = self._capabilities.max_images
        if most is not None and count > most:
            raise ValueError(f"the prompt has {count} images, and the model takes {most}")
        return render(self._thread_processor(), request, self._system, self._decode_image)

    def _prepare_groups(self, places: Sequence[int], prompts: Sequence[Prompt], mode: str) -> Prepared:
        tokenizer = self._thread_processor().tokenizer
        holder = self._placeholder(prompts[0])
        groups = grouping.split(prompts, tokenizer, holder, bos=not _starts_itself(prompts[0], tokenizer))
        if mode == "prefix" and not groups.same_start():
            raise grouping.UnlikeError("the prompts do not begin with their pictures")
        firsts = [prompts[place] for place in groups.firsts]
        inputs: Any = self._process(firsts) if mode == "prefix" else [self._process([first]) for first in firsts]
        lengths = []
        for number, place in enumerate(groups.firsts):
            batch, row = (inputs, number) if mode == "prefix" else (inputs[number], 0)
            ids = batch["input_ids"][row][batch["attention_mask"][row] == 1].tolist()
            grouping.check_first(ids, groups.rows[place])
            lengths.append(len(ids) - len(groups.rows[place].before) - len(groups.rows[place].after))
        tokens = [lengths[row.group] + len(row.before) + len(row.after) for row in groups.rows]
        return Prepared(places, prompts, mode, inputs, groups, tokens)

    def _placeholder(self, prompt: Prompt) -> str:
        """Return what stands for a picture in the rendered text: Gemma's template writes another token there."""
        for name in ("image_token", "boi_token", "start_of_image_token"):
            token = getattr(self._processor, name, None)
            if token and token in prompt.text:
                return str(token)
        raise grouping.UnlikeError("the rendered prompt shows no placeholder")

    def _process(self, prompts: Sequence[Prompt]) -> Any:
        """Run the processor over prompts with equal options: padded token tensors, and pixels."""
        processor = self._thread_processor()
        images = [list(prompt.images) for prompt in prompts]
        inputs = processor(
            text=[prompt.text for prompt in prompts],
            images=images if any(images) else None,
            add_special_tokens=not _starts_itself(prompts[0], processor.tokenizer),
            padding=True,
            return_tensors="pt",
            **prompts[0].options,
        ).to(dtype=self._dtype)
        if self._pinned:
            for name, tensor in inputs.items():
                inputs[name] = tensor.pin_memory()
        return inputs

    def _thread_processor(self) -> Any:
        """Return this thread's own processor: a fast tokenizer must not be used by two threads at once."""
        if not hasattr(self._own, "processor"):
            self._own.processor = copy.deepcopy(self._processor)
        return self._own.processor


def _alike(prompts: Sequence[Prompt], kind: Callable[[int], int]) -> list[list[int]]:
    """Return the positions of prompts that one batch can take: those with pictures by kind and options.

    ``kind`` tells by the number of pictures which prompts must not mix. Prompts without pictures go along with the
    first that they may, unless pictures are shared: they belong to no group.
    """
    parts: dict[tuple[int, str], list[int]] = {}
    for place, prompt in enumerate(prompts):
        if prompt.images:
            parts.setdefault((kind(len(prompt.images)), repr(sorted(prompt.options.items()))), []).append(place)
    texts = [place for place, prompt in enumerate(prompts) if not prompt.images]
    host = next((key for key in parts if key[0] == kind(0)), None)
    if not texts or host is None or grouping.shared_by_several(prompts):
        return [part for part in (*parts.values(), texts) if part]
    parts[host] = sorted(parts[host] + texts)
    return list(parts.values())


def _starts_itself(prompt: Prompt, tokenizer: Any) -> bool:
    """Tell whether the chat template wrote the token that the tokenizer would otherwise put first."""
    return tokenizer.bos_token is not None and prompt.text.startswith(tokenizer.bos_token)
