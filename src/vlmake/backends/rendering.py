"""A request becomes what a processor takes: one text with placeholders, and the pictures they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlmake.backends.processor import image_options
from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlmake.backends.base import Request

_OURS = ("prompt_patches", "first_image_scale")  # pixel keys that no image processor knows


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered request. Prompts with equal ``shared`` show the same pictures in the same way.

    ``options`` are those of the image processor for this call.
    """

    text: str
    images: Sequence[Image]
    shared: tuple[Any, ...]
    options: Mapping[str, Any]
    max_new_tokens: int


def render(processor: Any, request: Request, system: str | None, decode: Callable[[str, bytes], Image]) -> Prompt:
    """Return the prompt of a request; ``decode`` turns an image's digest and bytes into a picture.

    Raises ImageError for an image that cannot be decoded, and ValueError for a text that holds the model's own
    placeholder for a picture.
    """
    _refuse_placeholders(request, getattr(processor, "image_token", None))
    names = [part["image"] for turn in request.turns for part in turn.parts if part["type"] == "image"]
    images = [decode(name, request.images[name]) for name in names]
    if images and (scale := request.pixels.get("first_image_scale")):
        images[0] = _enlarged(images[0], scale)
    pixels = _pixels(request.pixels, len(images))
    return Prompt(
        text=processor.apply_chat_template(_conversation(request, system), add_generation_prompt=True, tokenize=False),
        images=images,
        shared=(*names, *sorted(request.pixels.items())) if names else (),
        options=image_options(processor, pixels) if names else {},
        max_new_tokens=request.max_new_tokens,
    )


def has_place_for(processor: Any, role: str) -> bool:
    """Tell whether the chat template writes what was said as ``system``, or as ``assistant`` in an earlier turn."""
    said = "a-thing-said-for-a-test"
    turn = {"role": role, "content": [{"type": "text", "text": said}]}
    asked = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    try:
        turns = [turn, asked] if role == "system" else [asked, turn, asked]
        return said in processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    except Exception:  # templates refuse a role in their own ways
        return False


def refuse_broken_template(processor: Any, model: str) -> None:
    """Raise VlmakeError for a chat template that cannot write even a plain question."""
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
    try:
        processor.apply_chat_template([asked], add_generation_prompt=True, tokenize=False)
    except Exception as error:  # the template language raises its own errors
        raise VlmakeError(f"model '{model}': its chat template fails: {type(error).__name__}: {error}") from error


def _conversation(request: Request, system: str | None) -> list[dict[str, Any]]:
    """Return the chat template's view: pictures are bare placeholders there."""
    turns: list[dict[str, Any]] = []
    if system:
        turns.append({"role": "system", "content": [{"type": "text", "text": system}]})
    for turn in request.turns:
        content = [{"type": "image"} if part["type"] == "image" else dict(part) for part in turn.parts]
        turns.append({"role": turn.role, "content": content})
    return turns


def _pixels(pixels: Mapping[str, Any], images: int) -> dict[str, Any]:
    """Return the pixel budget of one image when a prompt holds several: they share the prompt's tiles."""
    budget = {key: value for key, value in pixels.items() if key not in _OURS}
    if (total := pixels.get("prompt_patches")) and images:
        budget["max_patches"] = max(1, min(budget.get("max_patches", total), total // images))
    return budget


def _enlarged(image: Image, scale: int) -> Image:
    from PIL.Image import Resampling

    return image.resize((image.width * scale, image.height * scale), Resampling.BILINEAR)


def _refuse_placeholders(request: Request, placeholder: str | None) -> None:
    texts = [part["text"] for turn in request.turns for part in turn.parts if part["type"] == "text"]
    if placeholder and any(placeholder in text for text in texts):
        raise ValueError(f"the text contains {placeholder}, which the model cannot tell from a picture")
