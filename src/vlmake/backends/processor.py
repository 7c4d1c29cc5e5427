"""A checkpoint's processor without torchvision, and the limits on what it makes of the images.

Image processors have a Pillow form; video processors have none. A processor class that insists on a video processor
gets a stand-in: videos reach a model as lists of frames here.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.backends.older_transformers import pillow_images, processor_parts
from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from vlmake.registry.model_entries import TransformersEntry

# Budgets of a whole prompt, which the backend keeps; an image processor knows single images only.
_PROMPT_BUDGETS = frozenset({"prompt_patches", "first_image_scale"})

# Budgets that are arguments of an image processor under the same name.
_ARGUMENTS = frozenset({"do_image_splitting", "min_patches", "max_patches", "max_image_tiles", "do_pan_and_scan"})

# Settings that are read outside of the image processor too (the number of image tokens of Idefics 2, the tiles of Llama
# 3.2 Vision), by processor class, each with the attribute that holds it: one call cannot differ from the next.
_FIXED_AT_LOAD = {
    "Idefics2Processor": ("do_image_splitting", "do_image_splitting"),
    "MllamaProcessor": ("max_image_tiles", "tile_limit"),
}

# What prompts of one batch must share, by processor class, as a function of their number of images. Llama 3.2 Vision
# fills a batch up with empty images, and the tokens before the first image attend to them too; PaliGemma's processor
# writes its start token into the middle of a prompt without an image that stands among prompts with one.
_UNMIXED: dict[str, Callable[[int], int]] = {"MllamaProcessor": int, "PaliGemmaProcessor": bool}


def load_processor(folder: Path, entry: TransformersEntry) -> Any:
    """Return the processor with left padding, a chat template and the entry's pixel budget.

    Raises VlmakeError when there is no template, when a part cannot be loaded (such as an image processor that only
    torchvision can run), and when the image processor does not know a key of the budget.
    """
    try:
        processor = _plain_processor(folder, entry.trust_remote_code)
    except VlmakeError:
        raise
    except Exception as error:  # libraries raise anything for a damaged checkpoint or a missing library
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VlmakeError(f"the processor at {folder} cannot be loaded: {reason}") from error
    if not (hasattr(processor, "tokenizer") and hasattr(processor, "image_processor")):
        raise VlmakeError(f"{folder} has no processor for images and text, only a {type(processor).__name__}")
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    if entry.chat_template is not None:
        processor.chat_template = entry.chat_template
    if processor.chat_template is None:
        processor.chat_template = processor.tokenizer.chat_template
    if processor.chat_template is None:
        raise VlmakeError(f"{folder} has no chat template: give the model's prompt format as `chat_template`")
    if pixels := entry.pixels.model_dump(exclude_none=True):
        _set_image_options(processor, _translate(processor.image_processor, pixels))
    return processor


def image_options(processor: Any, pixels: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pixel budget (keys of ``model_entries.PixelBudget``) as ``images_kwargs`` of one call of the processor.

    A call with them gives the tensors of a processor that was loaded with the same budget. Budgets of a whole prompt
    are left out. Raises VlmakeError for a key that the image processor does not know, or that it can only take when
    the model is loaded.
    """
    image_processor = processor.image_processor
    options = _translate(image_processor, pixels)
    key, attribute = _FIXED_AT_LOAD.get(type(processor).__name__, ("", ""))
    if key in options and options.pop(key) != getattr(image_processor, attribute, getattr(image_processor, key)):
        raise VlmakeError(
            f"{_family(image_processor)} takes the pixel budget `{key}` for the whole model only:"
            " set it in the model's `pixels`, not for single benchmarks"
        )
    return options


def batch_kind(processor: Any, images: int) -> int:
    """Return a number for a prompt with so many images: only prompts with equal ones may share a batch."""
    kind = _UNMIXED.get(type(processor).__name__)
    return kind(images) if kind else 0


def _translate(image_processor: Any, pixels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the budget as arguments of the image processor; raise VlmakeError for a key that it does not know."""
    known = _budget_keys(image_processor)
    wanted = {key: value for key, value in pixels.items() if value is not None and key not in _PROMPT_BUDGETS}
    for key in wanted:
        if key not in known:
            taken = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise VlmakeError(f"{_family(image_processor)} does not take the pixel budget `{key}`: {taken}")
    edges = {known[key]: value for key, value in wanted.items() if known[key] in ("shortest_edge", "longest_edge")}
    options = {known[key]: value for key, value in wanted.items() if known[key] not in edges}
    if edges:
        options["size"] = _size(image_processor) | edges
    if options.keys() & {"min_patches", "max_patches"}:
        options["crop_to_patches"] = True
    return options


def _budget_keys(image_processor: Any) -> dict[str, str]:
    """Return the budget keys that an image processor takes, each with its own name for it.

    Processors that cut a picture into merged patches (Qwen, GLM) call the least and the greatest area of a picture
    ``shortest_edge`` and ``longest_edge`` of its size.
    """
    arguments = set(getattr(getattr(image_processor, "valid_kwargs", None), "__annotations__", ()))
    keys = {key: key for key in _ARGUMENTS & arguments}
    size = _size(image_processor)
    if "merge_size" in arguments and {"shortest_edge", "longest_edge"} <= size.keys():
        return keys | {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
    if "longest_edge" in size:
        return keys | {"longest_edge": "longest_edge"}
    return keys | {key: key for key in ("min_pixels", "max_pixels") if key in arguments}


def _size(image_processor: Any) -> dict[str, int]:
    size = getattr(image_processor, "size", None)
    if isinstance(size, int):  # code that comes with a checkpoint may say it so
        return {}
    return {key: value for key, value in dict(size or {}).items() if value is not None}


def _family(image_processor: Any) -> str:
    return type(image_processor).__name__.removesuffix("Pil")


def _set_image_options(processor: Any, options: Mapping[str, Any]) -> None:
    """Make options the processor's own: in its image processor, and before the defaults it passes with every call."""
    passed = {key: value for key, value in options.items() if key != "max_image_tiles"}
    image_processor = type(processor.image_processor).from_dict(processor.image_processor.to_dict() | passed)
    if "max_image_tiles" in options:
        image_processor = _with_tile_limit(image_processor, options["max_image_tiles"])
    processor.image_processor = image_processor
    processor.images_kwargs = {**getattr(processor, "images_kwargs", {}), **passed}


def _with_tile_limit(image_processor: Any, limit: int) -> Any:
    """Return the image processor with a limit on the canvas it chooses.

    Its own ``max_image_tiles`` must stay: it numbers the shapes of the canvas, and the model's tables of shapes and
    tiles were trained with that numbering.
    """
    base = type(image_processor)

    def resize(self: Any, image: Any, size: Any, max_image_tiles: int, **options: Any) -> Any:
        return base.resize(self, image, size=size, max_image_tiles=min(limit, max_image_tiles), **options)

    limited: Any = type(base.__name__, (base,), {"resize": resize, "tile_limit": limit})
    return limited.from_dict(image_processor.to_dict())


def _plain_processor(folder: Path, trust_remote_code: bool) -> Any:
    """Return the processor as the checkpoint's files have it, without the part for videos."""
    transformers: Any = import_module("transformers")
    base = None if trust_remote_code else _processor_class(folder)
    if base is None:
        return transformers.AutoProcessor.from_pretrained(
            folder, trust_remote_code=trust_remote_code, **pillow_images()
        )
    if "video_processor" in processor_parts(base):
        return _processor_without_video(folder, base)
    return base.from_pretrained(folder, **pillow_images())


def _processor_class(folder: Path) -> Any:
    """Return the processor class that the checkpoint's files name, else its configuration's one, else None."""
    transformers: Any = import_module("transformers")
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        if class_name := _json(folder / name).get("processor_class"):
            return _importable(class_name, folder)
    mapping = import_module("transformers.models.auto.processing_auto").PROCESSOR_MAPPING
    return mapping.get(type(transformers.AutoConfig.from_pretrained(folder)), None)


def _importable(class_name: str, folder: Path) -> Any:
    transformers: Any = import_module("transformers")
    found = getattr(transformers, class_name, None)
    if found is None:
        raise VlmakeError(f"{folder}: the installed transformers has no processor class {class_name}")
    if not getattr(found, "is_dummy", False):
        return found
    if class_name == "PixtralProcessor":
        return _pixtral_processor()
    raise VlmakeError(f"{folder}: {class_name} needs a library that is not installed; see its documentation")


def _pixtral_processor() -> Any:
    """Return the class of Pixtral's and Mistral 3's processor.

    Its module imports one function from the image processor for torchvision, though the one for Pillow has it too.
    """
    package = "transformers.models.pixtral"
    stand_in = {f"{package}.image_processing_pixtral": import_module(f"{package}.image_processing_pil_pixtral")}
    sys.modules.update(stand_in)
    try:
        return import_module(f"{package}.processing_pixtral").PixtralProcessor
    finally:
        for name in stand_in:
            del sys.modules[name]


def _processor_without_video(folder: Path, base: Any) -> Any:
    """Build a processor from its parts, with a stand-in for the video processor."""
    transformers: Any = import_module("transformers")
    _excuse_number_words(base)
    loaders = {
        "image_processor": lambda: transformers.AutoImageProcessor.from_pretrained(folder, **pillow_images()),
        "tokenizer": lambda: transformers.AutoTokenizer.from_pretrained(folder),
        "feature_extractor": lambda: transformers.AutoFeatureExtractor.from_pretrained(folder),
        "video_processor": NoVideo,
    }
    parts = [loaders[name]() for name in processor_parts(base)]
    changes = {
        "check_argument_for_proper_class": _accept_no_video(base),
        "__repr__": object.__repr__,  # the library's own one writes every part as JSON
    }
    settings, _ = base.get_processor_dict(folder)
    return type(base.__name__, (base,), changes).from_args_and_dict(parts, settings)  # type: ignore[attr-defined]


class NoVideo:
    """Stands where a video processor would: no setting is set, and calling it fails."""

    model_input_names: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def _accept_no_video(base: Any) -> Any:
    def check(self: Any, argument_name: str, argument: Any) -> Any:
        if isinstance(argument, NoVideo):
            return NoVideo
        return base.check_argument_for_proper_class(self, argument_name, argument)

    return check


def _excuse_number_words(base: Any) -> None:
    """Let SmolVLM's processor start without num2words, which it needs only to tell the length of a video in words."""
    module: Any = import_module(base.__module__)
    if getattr(module, "num2words", str) is None:
        module.num2words = str


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}
