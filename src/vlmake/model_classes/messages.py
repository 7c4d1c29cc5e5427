"""A question in the form of VLMEvalKit's development guide: images as files, rows as pandas has them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pybase64 import b64decode, b64encode

from vlmake.backends.base import Row
from vlmake.data.images import ImageError, inspect_image
from vlmake.inference.prompts import Part
from vlmake.model_classes.guide import toliststr

Messages = list[dict[str, Any]]

_ENDINGS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
    "PPM": ".ppm",
    "ICO": ".ico",
}
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


def write_image(data: bytes, name: str, folder: Path) -> Path:
    """Write an image's original bytes to a file with the ending of its format, unless it is there; ImageError."""
    file = folder / f"{name}{_ENDINGS[inspect_image(data).format]}"
    if not file.exists():
        file.write_bytes(data)
    return file


def guide_messages(parts: Sequence[Part], files: Mapping[str, Path]) -> Messages:
    """Return a prompt as the guide writes it; ``files`` are the images by the ids that the parts name."""
    return [
        {"type": "image", "value": str(files[part["image"]])}
        if part["type"] == "image"
        else {"type": "text", "value": part["text"]}
        for part in parts
    ]


def without_interleaving(messages: Messages) -> Messages:
    """Return the first image and all texts joined by newlines, for a class that takes nothing else."""
    images = [part for part in messages if part["type"] == "image"]
    text = "\n".join(part["value"] for part in messages if part["type"] == "text")
    return [*images[:1], {"type": "text", "value": text}]


def as_series(row: Row, index: str, images: Mapping[str, bytes]) -> "pd.Series[Any]":
    """Return a row as ``build_prompt`` gets it: cells as text, NaN for an empty one, ``image`` as base64.

    ``index`` is a whole number where it can be; ``image`` and ``image_path`` are lists where there are several.
    """
    cells: dict[str, Any] = {name: float("nan") if cell is None else cell for name, cell in row.cells.items()}
    cells["index"] = int(index) if _WHOLE_NUMBER.fullmatch(index) else index
    if isinstance(cells.get("image_path"), str):
        cells["image_path"] = _one_or_list(_listed(cells["image_path"]))
    if row.images:
        cells["image"] = _one_or_list([b64encode(images[image]).decode("ascii") for image in row.images])
    return pd.Series(cells, dtype=object)


def dump_images(folder: Path, line: Mapping[str, Any]) -> list[str]:
    """Write a row's images to files and return their paths; raises ImageError for what is no image."""
    cell = line.get("image")
    listed = cell if isinstance(cell, list) else [cell] if isinstance(cell, str) else []
    return [str(_dumped(image, folder)) for image in listed]


def _dumped(image: str, folder: Path) -> Path:
    try:
        data = b64decode(image, validate=True)
    except ValueError as error:
        raise ImageError(f"broken base64: {error}") from None
    return write_image(data, hashlib.sha256(data).hexdigest(), folder)


def _listed(cell: str) -> list[str]:
    try:
        return toliststr(cell)
    except ValueError:
        return [cell]


def _one_or_list(items: list[str]) -> Any:
    return items[0] if len(items) == 1 else items
