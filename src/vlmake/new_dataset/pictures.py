"""A row's images, from names of files or from what a parquet file holds, as one ``image`` cell."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pybase64 import b64decode, b64encode

from vlmake.data.image_cells import read_inside
from vlmake.data.images import ImageError, inspect_image
from vlmake.data.literals import REFERENCE_LENGTH, list_items
from vlmake.new_dataset.layout import CellError


class PictureCells:
    """Makes the ``image`` cells of a table in row order; an image that was there before is referred to.

    Args:
        root: The folder below which names of files are looked up; None where there are none.
        check: Whether bytes that are no image are refused; else they are left for decode to mark.
    """

    def __init__(self, root: Path | None, *, check: bool) -> None:
        self._root = root
        self._check = check
        self._row_of: dict[bytes, str] = {}

    def cell(self, values: Sequence[Any], index: str) -> str | None:
        """Return the cell of a row; None without images; CellError for one that cannot be used."""
        while values and values[-1] is None:
            values = values[:-1]
        pictures: list[bytes] = []
        for place, value in enumerate(values, 1):
            if value is None:
                raise CellError(
                    f"image {place} of {len(values)} is empty, so that the next ones would have other numbers"
                )
            for item in _items(value):
                pictures.append(self._bytes(item))
        if len(pictures) == 1:
            return self._one(pictures[0], index)
        texts = ", ".join(f"'{b64encode(picture).decode()}'" for picture in pictures)
        return f"[{texts}]" if pictures else None

    def _one(self, picture: bytes, index: str) -> str:
        digest = hashlib.sha256(picture).digest()
        if (known := self._row_of.get(digest)) is not None:
            return known
        if 0 < len(index) <= REFERENCE_LENGTH and index == index.strip() and not index.startswith("["):
            self._row_of[digest] = index
        text = b64encode(picture).decode()
        return text if len(text) > REFERENCE_LENGTH else f"['{text}']"

    def _bytes(self, value: Any) -> bytes:
        data = self._raw(value)
        if self._check:
            try:
                inspect_image(data)
            except ImageError as error:
                raise CellError(str(error)) from None
        return data

    def _raw(self, value: Any) -> bytes:
        if isinstance(value, dict):
            value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str) or not value.strip():
            raise CellError("neither an image nor the name of a file")
        if self._root is not None:
            try:
                return read_inside(self._root, value.strip())
            except ImageError as error:
                raise CellError(str(error)) from None
        try:
            return b64decode("".join(value.split()), validate=True)
        except ValueError:
            raise CellError("a text that is no base64; where it names a file, say in which folder (--images)") from None


def _items(value: Any) -> list[Any]:
    """Return the images that one cell holds: a list, the text of one, or a single image."""
    if isinstance(value, list):
        return [item for item in value if item is not None]
    if isinstance(value, str) and value.strip().startswith("[") and value.strip().endswith("]"):
        items = list_items(value.strip())
        if items is None:
            raise CellError("the list of images is not written as a list of quoted texts")
        return list(items)
    return [] if isinstance(value, str) and not value.strip() else [value]
