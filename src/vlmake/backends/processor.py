"""A checkpoint's processor, without torchvision.

Image processors have a Pillow form; video processors have not. A processor class that insists on a video processor is
given none: videos reach a model as lists of frames here.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from pathlib import Path

    from vlmake.registry import ModelEntry


def load_processor(folder: Path, entry: ModelEntry) -> Any:
    """Return the processor with left padding and a chat template; raise VlmakeError when there is no template."""
    transformers: Any = import_module("transformers")
    options = {"trust_remote_code": entry.trust_remote_code, **_pixel_options(entry)}
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, backend="pil", **options)
    except ImportError:
        processor = _processor_without_video(folder, options)
    if not hasattr(processor, "tokenizer"):
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
    return processor


def _pixel_options(entry: ModelEntry) -> dict[str, int]:
    return entry.pixels.model_dump(exclude_none=True)


def _processor_without_video(folder: Path, options: dict[str, Any]) -> Any:
    """Build the processor from its parts, with nothing in the place of the video processor."""
    transformers: Any = import_module("transformers")
    settings = _json(folder / "processor_config.json") | _json(folder / "preprocessor_config.json")
    class_name = settings.get("processor_class") or _json(folder / "tokenizer_config.json").get("processor_class")
    base = getattr(transformers, class_name or "", None)
    if base is None:
        raise VlmakeError(f"{folder}: the installed transformers has no processor class {class_name!r}")
    frameless = type(base.__name__, (base,), {"check_argument_for_proper_class": _accept_no_video(base)})
    keep = {
        key: value
        for key, value in _json(folder / "processor_config.json").items()
        if key not in ("processor_class", "image_processor", "video_processor", "auto_map", "feature_extractor")
    }
    template = folder / "chat_template.jinja"
    return frameless(
        image_processor=transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **options),
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=options["trust_remote_code"]),
        video_processor=None,
        chat_template=template.read_text(encoding="utf-8") if template.is_file() else None,
        **keep,
    )


def _accept_no_video(base: type) -> Any:
    def check(self: Any, argument_name: str, argument: Any) -> Any:
        if argument_name == "video_processor" and argument is None:
            return None
        return base.check_argument_for_proper_class(self, argument_name, argument)  # type: ignore[attr-defined]

    return check


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}
