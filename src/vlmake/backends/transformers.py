"""Any native vision-language checkpoint, by one generic path: AutoProcessor + AutoModelForImageTextToText.

Left padding, the checkpoint's chat template, greedy generation. Images are decoded by Pillow and preprocessed by the
Pillow image processors, so torchvision is never needed. In fp32 a batch gives the same text as single samples, with and
without sharing what questions on the same pictures have in common.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from vlmake.backends import self_check, sharing
from vlmake.backends.base import Capabilities, DeviceLostError, OutOfMemoryError, Output, Request
from vlmake.backends.groups import UnfitModelError, UnlikeError
from vlmake.backends.loading import load_model, loading_facts
from vlmake.backends.preparing import Prepared, Preparer
from vlmake.backends.processor import load_processor
from vlmake.backends.rendering import has_place_for, refuse_broken_template
from vlmake.backends.self_check import Answers
from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
    from vlmake.registry.model_entries import TransformersEntry

_SHARING = {"auto": ("prefix", "features"), "features": ("features",), "off": ()}
_CHECKED_SINGLY = 4  # rows of a self-check in half precision that also run one by one

# A checkpoint's own generation_config may sample or penalise repetition; these settings are part of every key.
GREEDY: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "use_cache": True,
}


def load(spec: TransformersSpec, runtime: RuntimeOptions) -> TransformersBackend:
    """Load model and processor from the spec's folder; raise VlmakeError with the reason if that is impossible."""
    model = load_model(spec, runtime)
    processor = load_processor(spec.folder, spec.entry)
    refuse_broken_template(processor, spec.name)
    if spec.entry.system and not has_place_for(processor, "system"):
        raise VlmakeError(f"model '{spec.name}': its chat template has no place for `system`; leave it out")
    return TransformersBackend(model, processor, spec.entry, loading_facts(model, spec))


class TransformersBackend:
    """A loaded checkpoint that answers batches of requests."""

    def __init__(self, model: Any, processor: Any, entry: TransformersEntry, loading: Mapping[str, Any]) -> None:
        self.capabilities = Capabilities(
            max_images=entry.max_images,
            system=has_place_for(processor, "system"),
            history=has_place_for(processor, "assistant"),
        )
        self._model = model
        self._loading = loading
        self._tokenizer = processor.tokenizer
        pinned = model.device.type == "cuda"
        self._preparer = Preparer(processor, entry.system, self.capabilities, model.dtype, pinned=pinned)
        self._stop_ids = _stop_ids(model)
        sharing_mode = "off" if entry.tensor_parallel else entry.image_groups  # other ranks only repeat `generate`
        self._modes = dict.fromkeys(_SHARING[sharing_mode], "unchecked")  # or "equal", or why it is not taken
        self._samples = {"plain": 0, "prefix": 0, "features": 0}
        self._seconds = {"host": 0.0, "device": 0.0}
        self._counting = threading.Lock()

    def prepare(self, requests: Sequence[Request]) -> list[Prepared]:
        """Return the requests as model inputs. Raises ImageError for an image that cannot be decoded."""
        with self._timed("host"):
            return self._preparer.prepare(requests, self._open_modes())

    def generate(self, prepared: Sequence[Prepared]) -> list[Output]:
        """Answer what was prepared, greedily. Raises OutOfMemoryError for a batch that does not fit."""
        import torch

        outputs: dict[int, Output] = {}
        try:
            with torch.inference_mode(), self._timed("device"):
                for part in prepared:
                    answers = self._answer(part)
                    rows = zip(part.places, answers.ids, part.prompt_tokens, strict=True)
                    outputs |= {place: self._output(ids, tokens) for place, ids, tokens in rows}
        except torch.OutOfMemoryError as error:
            reason = str(error).split(". ")[0]
        except RuntimeError as error:
            self._refuse_lost_device(error)
            raise
        else:
            return [outputs[place] for place in range(len(outputs))]
        # Outside the handler: the exception would keep the batch's tensors alive.
        torch.cuda.empty_cache()
        raise OutOfMemoryError(reason)

    def traced(self, part: Prepared) -> tuple[list[Output], Answers]:
        """Answer one plain part and keep tokens and first logits, to compare them with another implementation's."""
        import torch

        self._refuse_long_prompts(max(part.prompt_tokens), part.new_tokens)
        with torch.inference_mode():
            answers = self._run(part, logits=True)
        rows = zip(answers.ids, part.prompt_tokens, strict=True)
        return [self._output(ids, tokens) for ids, tokens in rows], answers

    def facts(self) -> dict[str, Any]:
        """Return effective generation settings, what pictures were shared, and seconds by phase."""
        import torch

        config = self._model.generation_config.to_diff_dict() | GREEDY
        config.pop("transformers_version", None)
        cuda = torch.cuda.is_available() and self._model.device.type == "cuda"
        return {
            "class": type(self._model).__name__,
            "device": torch.cuda.get_device_name(self._model.device) if cuda else str(self._model.device),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "attention": self._model.config._attn_implementation,
            **self._loading,
            "generation": config,
            "image_groups": dict(self._modes),
            "image_groups_not_taken": dict(self._preparer.refusals.reasons),
            "samples": dict(self._samples),
            "seconds": {phase: round(spent, 3) for phase, spent in self._seconds.items()},
        }

    def close(self) -> None:
        """End the processes that hold the other parts of a model; the backend cannot be used any more."""
        if team := getattr(self._model, "team", None):
            team.close()

    # -- running

    def _answer(self, part: Prepared) -> Answers:
        """Return the answers to one part, by the way it was prepared for or a plainer one."""
        self._refuse_long_prompts(max(part.prompt_tokens), part.new_tokens)
        state = self._modes.get(part.mode, "equal")
        if state in ("unchecked", "equal"):
            try:
                return self._check(part) if state == "unchecked" else self._counted(part, self._run(part))
            except UnlikeError as error:  # says nothing about other prompts
                self._preparer.refusals.refused(part.mode, str(error))
            except UnfitModelError as error:
                self._modes[part.mode] = str(error)
        # This way is closed to the part, or was closed after it was prepared.
        return self._answer(self._preparer.again(part, [mode for mode in self._open_modes() if mode != part.mode]))

    def _check(self, part: Prepared) -> Answers:
        """Answer by the part's shortcut and plainly, and settle whether the shortcut may be taken from now on."""
        import torch

        fault, shortcut = None, None
        try:
            shortcut = self._run(part, logits=True)
        except (UnlikeError, UnfitModelError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a model's own code raises anything when its inputs are not what it expects
            fault = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        plain_part = self._preparer.again(part, [])
        plain = self._run(plain_part, logits=True)
        if shortcut is not None:
            fault = self_check.difference(plain, shortcut, self._noise(plain, part), self._model.dtype)
        self._modes[part.mode] = fault or "equal"
        return self._counted(plain_part, plain)

    def _counted(self, part: Prepared, answers: Answers) -> Answers:
        with self._counting:
            self._samples[part.mode] += len(part.requests)
        self._preparer.refusals.taken(part.mode)
        return answers

    def _noise(self, plain: Answers, part: Prepared) -> float:
        """Return how far half precision moves the plain logits between batches; 0 in float32."""
        import torch

        if self._model.dtype == torch.float32:
            return 0.0
        alone = (self._preparer.prepare([request], [])[0] for request in part.requests[:_CHECKED_SINGLY])
        singles = [self._run(single, logits=True) for single in alone]
        return self_check.spread(plain, singles)

    def _run(self, part: Prepared, *, logits: bool = False) -> Answers:
        """Run one part the way it was prepared for; ``logits`` keeps those of every first token."""
        generate = partial(self._generate, logits=logits)
        if part.mode == "plain" or part.groups is None:
            return generate(**self._on_device(part.inputs), new_tokens=part.new_tokens)
        if part.mode == "prefix":
            inputs = self._on_device(part.inputs)
            return sharing.from_prefixes(self._model, generate, inputs, part.groups, part.new_tokens)
        firsts = [self._on_device(inputs) for inputs in part.inputs]
        return sharing.from_features(self._model, generate, firsts, part.groups, part.new_tokens)

    def _generate(self, *, new_tokens: int, logits: bool, **inputs: Any) -> Answers:
        kept: list[Any] = []

        def keep_first(_: Any, scores: Any) -> Any:
            if not kept:
                kept.append(scores.clone())
            return scores

        watching = {"logits_processor": [keep_first]} if logits else {}
        sequences = self._model.generate(**inputs, **GREEDY, **watching, max_new_tokens=new_tokens)
        prompt = inputs["input_ids"].shape[1]
        return Answers(sequences[:, prompt:].tolist(), kept[0] if kept else None)

    def _on_device(self, inputs: Any) -> dict[str, Any]:
        return {name: tensor.to(self._model.device, non_blocking=True) for name, tensor in inputs.items()}

    # -- what goes in and out

    def _refuse_lost_device(self, error: RuntimeError) -> None:
        """Raise DeviceLostError if the device answers nothing any more: after a failed assertion in a kernel, say."""
        import torch

        if self._model.device.type == "cpu":
            return
        try:
            torch.zeros(1, device=self._model.device).item()
        except RuntimeError:
            raise DeviceLostError(" ".join(str(error).split())[:200]) from None

    def _open_modes(self) -> list[str]:
        return [mode for mode, state in self._modes.items() if state in ("unchecked", "equal")]

    def _refuse_long_prompts(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raise for more tokens than the model has positions for: its answer would be noise."""
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and prompt_tokens + new_tokens > limit:
            raise ValueError(
                f"{prompt_tokens} prompt tokens and up to {new_tokens} new ones exceed the model's {limit}"
            )

    def _output(self, ids: list[int], prompt_tokens: int) -> Output:
        """Cut an answer at its first stop token; without one it ran into the length limit."""
        end = next((position for position, token in enumerate(ids) if token in self._stop_ids), None)
        text = self._tokenizer.decode(ids[:end], skip_special_tokens=True)
        return Output(
            text=text,
            finish_reason="length" if end is None else "stop",
            prompt_tokens=int(prompt_tokens),
            completion_tokens=len(ids) if end is None else end + 1,
        )

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self._seconds[phase] += time.perf_counter() - started


def _stop_ids(model: Any) -> frozenset[int]:
    stop = model.generation_config.eos_token_id
    if stop is None:
        stop = getattr(model.config.get_text_config(), "eos_token_id", None)
    return frozenset([stop] if isinstance(stop, int) else stop or [])
