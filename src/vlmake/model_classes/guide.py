"""Helpers that a model class written for VLMEvalKit's development guide imports, with that guide's names."""

import ast
import mimetypes
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from packaging.version import Version
from PIL import Image

from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.tasks import Task

_TYPES: Mapping[Task, str] = {"yes_no": "Y/N", "multiple_choice": "MCQ", "vqa": "VQA", "caption": "Caption"}
_NOT_IN_EVERY_PYTHON = {".webp": "image/webp", ".avif": "image/avif", ".jp2": "image/jp2", ".jfif": "image/jpeg"}


def toliststr(s: Any) -> list[str]:
    """Return a cell as a list of texts: a list as it is, a text that is written as a list item by item."""
    if isinstance(s, list):
        return [str(item) for item in s]
    if not isinstance(s, str):
        raise NotImplementedError(f"a list or a text is needed, not {type(s).__name__}")
    if not (s.startswith("[") and s.endswith("]")):
        return [s]
    try:
        return [str(item) for item in ast.literal_eval(s)]
    except (ValueError, SyntaxError):
        raise ValueError(f"not a list: {s[:80]!r}") from None


def parse_file(s: str) -> tuple[str | None, str]:
    """Return the MIME type of a file (``unknown`` if its ending says nothing) or None for a text, and ``s``.

    An image at a URL or in a data URI has its type as well; nothing is downloaded.
    """
    if s.startswith("data:image/"):
        return s[len("data:") :].partition(";")[0], s
    if re.match(r"https?://\S+$", s):
        return _mime(s) or "url", s
    return (_mime(s) or "unknown" if _is_file(s) else None), s


def isimg(s: str) -> bool:
    """Tell whether a text is an image file's path, or its URL."""
    return s.startswith("http") or _is_file(s)


def cn_string(s: str) -> bool:
    """Tell whether a text holds Chinese."""
    return re.search("[\u4e00-\u9fff]", s) is not None


def splitlen(s: str, sym: str = "/") -> int:
    """Return how many pieces a text has between separators."""
    return len(s.split(sym))


def version_cmp(v1: str, v2: str, op: str = "eq") -> bool:
    """Compare two versions; ``op`` is the name of a comparison in the module ``operator``."""
    return bool(getattr(operator, op)(Version(v1), Version(v2)))


def get_cache_path(repo_id: str, branch: str = "main", repo_type: str = "datasets") -> str | None:
    """Return where a hub repository lies in this machine's cache, None where it does not; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            repo_id, revision=branch, repo_type=repo_type.removesuffix("s"), local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError):
        return None
    return str(found)


def get_gpu_memory() -> list[int]:
    """Return the free memory of every visible GPU in MiB, as the torch that the class has imported sees them."""
    torch = sys.modules.get("torch")
    return [] if torch is None else [torch.cuda.mem_get_info(gpu)[0] >> 20 for gpu in range(torch.cuda.device_count())]


def get_rank_and_world_size() -> tuple[int, int]:
    """Return (0, 1): a model has a process of its own."""
    return 0, 1


def DATASET_TYPE(dataset: str, *, default: str = "MCQ") -> str:  # noqa: N802 (the guide's name)
    """Return a registered dataset's type, ``Y/N``, ``MCQ``, ``VQA`` or ``Caption``; ``default`` for any other."""
    return _types().get(dataset, default)


def DATASET_MODALITY(dataset: str | None, *, default: str = "IMAGE") -> str:  # noqa: N802 (the guide's name)
    """Return what a dataset's questions are about: all that are asked are about images."""
    return default


def concat_images_vlmeval(
    images: Sequence[str], target_size: int = -1, mode: str = "h", return_image: bool = False
) -> Any:
    """Put images side by side (``h``) or below each other (``v``); return the picture, or the path of its file.

    With ``target_size`` above 0 all are that high, or that wide, in pixels. The file lies beside the first image.
    """
    across = mode == "h"
    pictures = [_scaled(Image.open(image).convert("RGB"), target_size, across) for image in images]
    widths, heights = [one.width for one in pictures], [one.height for one in pictures]
    size = (sum(widths), max(heights)) if across else (max(widths), sum(heights))
    joined, place = Image.new("RGB", size), 0
    for picture in pictures:
        joined.paste(picture, (place, 0) if across else (0, place))
        place += picture.width if across else picture.height
    if return_image:
        return joined
    name = sha256("\n".join([mode, str(target_size), *images]).encode()).hexdigest()
    file = Path(images[0]).with_name(f"{name}.jpg")
    joined.save(file)
    return str(file)


def _scaled(picture: Image.Image, size: int, across: bool) -> Image.Image:
    if size <= 0:
        return picture
    width, height = picture.size
    return picture.resize((int(width / height * size), size) if across else (size, int(height / width * size)))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a text that no file can be called
        return False


def _mime(name: str) -> str | None:
    ending = PurePath(name).suffix.lower()
    return _NOT_IN_EVERY_PYTHON.get(ending) or mimetypes.types_map.get(ending)


@cache
def _types() -> dict[str, str]:
    entries = load_registry(registry_folders()).datasets
    return {name: _TYPES[entry.task] for name, entry in entries.items() if entry.task is not None}
