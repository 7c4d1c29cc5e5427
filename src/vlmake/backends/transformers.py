"""Any native vision-language checkpoint, by one generic path: AutoProcessor + AutoModelForImageTextToText.

Left padding, the checkpoint's chat template, greedy generation. Images are decoded by Pillow and preprocessed by the
Pillow image processors, so torchvision is never needed. In fp32 a batch gives the same text as single samples.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.backends.base import Output, Request
from vlmake.backends.processor import load_processor
from vlmake.errors import VlmakeError
from vlmake.images import open_rgb
from vlmake.model_spec import ModelSpec, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

_REMEMBERED_IMAGES = 16  # neighbouring questions share an image; decoding it once per batch is enough


def load(spec: ModelSpec, runtime: RuntimeOptions) -> TransformersBackend:
    """Load model and processor from the spec's folder; raise VlmakeError with the reason if that is impossible."""
    import torch
    from transformers import AutoModelForImageTextToText

    _quieten()
    if runtime.device == "cpu":
        torch.set_num_threads(runtime.threads)
    entry = spec.entry
    try:
        processor = load_processor(spec.folder, entry)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            spec.folder,
            dtype=getattr(torch, spec.dtype),
            attn_implementation=entry.attention,
            trust_remote_code=entry.trust_remote_code,
            output_loading_info=True,
        )
        model, report = loaded
        _refuse_random_weights(report)
        return TransformersBackend(model.to(runtime.device).eval(), processor, entry.system)
    except VlmakeError:
        raise
    except Exception as error:  # libraries raise anything for a damaged checkpoint or a missing device
        reason = str(error) or type(error).__name__
        raise VlmakeError(f"model '{spec.name}' at {spec.folder} cannot be loaded: {reason}") from error


def _refuse_random_weights(report: Mapping[str, Any]) -> None:
    """Raise for tensors that the checkpoint lacks: the library would fill them with random numbers."""
    for fault in ("missing_keys", "mismatched_keys"):
        if names := sorted(str(name) for name in report[fault]):
            raise ValueError(f"{len(names)} tensors are {fault.split('_')[0]} in its weights, the first is {names[0]}")


class TransformersBackend:
    """A loaded checkpoint that answers batches of requests."""

    def __init__(self, model: Any, processor: Any, system: str | None) -> None:
        self._model = model
        self._processor = processor
        self._system = system
        self._stop_ids = _stop_ids(model)
        self._decode_image = lru_cache(_REMEMBERED_IMAGES)(open_rgb)

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """Answer a batch greedily. Raises ImageError for an image that cannot be decoded."""
        import torch

        inputs = self._processor.apply_chat_template(
            [self._conversation(request) for request in requests],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self._model.device, dtype=self._model.dtype)
        prompts = inputs["attention_mask"].sum(dim=1).tolist()
        longest = max(request.max_new_tokens for request in requests)
        self._refuse_long_prompts(max(prompts), longest)
        with torch.inference_mode():
            sequences = self._model.generate(
                **inputs,
                max_new_tokens=longest,
                **_GREEDY,
            )
        answers = sequences[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._output(ids, int(prompt)) for ids, prompt in zip(answers, prompts, strict=True)]

    def _refuse_long_prompts(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raise for more tokens than the model has positions for: its answer would be noise."""
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and prompt_tokens + new_tokens > limit:
            raise ValueError(
                f"{prompt_tokens} prompt tokens and up to {new_tokens} new ones exceed the model's {limit}"
            )

    def _conversation(self, request: Request) -> list[dict[str, Any]]:
        placeholder = getattr(self._processor, "image_token", None)
        if placeholder and any(placeholder in part.get("text", "") for part in request.messages):
            raise ValueError(f"the text contains {placeholder}, which the model cannot tell from a picture")
        content = [
            {"type": "image", "image": self._image(request, part["image"])} if part["type"] == "image" else dict(part)
            for part in request.messages
        ]
        system = [{"role": "system", "content": [{"type": "text", "text": self._system}]}] if self._system else []
        return [*system, {"role": "user", "content": content}]

    def _image(self, request: Request, digest: str) -> Image:
        return self._decode_image(request.images[digest])

    def _output(self, ids: list[int], prompt_tokens: int) -> Output:
        """Cut an answer at its first stop token; without one it ran into the length limit."""
        end = next((position for position, token in enumerate(ids) if token in self._stop_ids), None)
        text = self._processor.tokenizer.decode(ids[:end], skip_special_tokens=True)
        return Output(
            text=text,
            finish_reason="length" if end is None else "stop",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(ids) if end is None else end + 1,
        )


# A checkpoint's own generation_config may sample or penalise repetition; these settings are part of every key.
_GREEDY: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "use_cache": True,
}


def _quieten() -> None:
    """Keep the libraries' advice and loading bars out of the log; their errors still come as exceptions."""
    logging: Any = import_module("transformers").logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _stop_ids(model: Any) -> frozenset[int]:
    stop = model.generation_config.eos_token_id
    if stop is None:
        stop = getattr(model.config.get_text_config(), "eos_token_id", None)
    return frozenset([stop] if isinstance(stop, int) else stop or [])
