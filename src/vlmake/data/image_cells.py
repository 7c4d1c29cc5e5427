"""A row's cells ``image`` and ``image_path``: what they hold, taken out row by row."""

import os
import stat
import string
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pybase64 import b64decode

from vlmake.data.images import NO_IMAGE, ImageError
from vlmake.data.literals import REFERENCE_LENGTH, list_items
from vlmake.data.tsv import Cell, cut
from vlmake.errors import counted

MAX_FILE_BYTES = 256 << 20
"""A larger image file is refused unread; what stands in the TSV itself is bounded by the length of its record."""

_FILES_KEPT = 10_000  # names of files of which it is remembered what they held: rows on one image stand together
_BLANKS = b" \t\r\n\v\f"
_BASE64 = f"{string.ascii_letters}{string.digits}+/=".encode()


class RowImages(NamedTuple):
    """The images of a row as numbers into the list of digests, or the reason why there are none."""

    numbers: tuple[int, ...] = ()
    error: str | None = None


class Reference(NamedTuple):
    """The index of the row whose images a row shares."""

    target: str


class ImageCells:
    """Takes the images out of rows.

    Args:
        take: What is done with an image's bytes; returns its number, or raises ImageError.
        root: The folder below which ``image_path`` cells are looked up.
    """

    def __init__(self, take: Callable[[bytes], int], root: Path) -> None:
        self._take_in = take
        self._root = root
        self._files: dict[str, RowImages] = {}

    def of(self, image: Cell, path: Cell) -> RowImages | Reference:
        """Return what a row's two cells say, with its images taken into the store."""
        if isinstance(image, bytes) and (image := image.strip(_BLANKS)):
            if image.startswith(b"[") and image.endswith(b"]"):
                items = list_items(image.decode("latin-1"))
                if items is None:
                    return RowImages(error="the list of images is not written as a list of quoted texts")
                if items:
                    return self._gather([self._embedded(item.encode("latin-1", "replace")) for item in items])
            elif len(image) <= REFERENCE_LENGTH:
                return Reference(image.decode("utf-8", "replace"))
            else:
                return self._embedded(image)
        if isinstance(path, str) and (path := path.strip()):
            names = list_items(path) if path.startswith("[") and path.endswith("]") else [path]
            if names is None:
                return RowImages(error="the list in image_path is not written as a list of quoted texts")
            if names:
                return self._gather([self._from_file(name) for name in names])
        return RowImages(error=NO_IMAGE)

    def _embedded(self, text: bytes) -> RowImages:
        try:
            data = _from_base64(text)
        except ValueError as error:
            return RowImages(error=f"broken base64: {error}")
        return self._take(data)

    def _from_file(self, name: str) -> RowImages:
        if name not in self._files:
            if len(self._files) == _FILES_KEPT:
                self._files.clear()
            try:
                self._files[name] = self._take(read_inside(self._root, name))
            except ImageError as error:
                self._files[name] = RowImages(error=str(error))
        return self._files[name]

    def _take(self, data: bytes) -> RowImages:
        try:
            return RowImages((self._take_in(data),))
        except ImageError as error:
            return RowImages(error=str(error))

    def _gather(self, parts: list[RowImages]) -> RowImages:
        """Join the images of a list; one that is broken breaks the row."""
        for place, part in enumerate(parts, 1):
            if part.error and len(parts) > 1:
                return RowImages(error=f"image {place} of {len(parts)}: {part.error}")
            if part.error:
                return part
        return RowImages(tuple(number for part in parts for number in part.numbers))


def _from_base64(text: bytes) -> bytes:
    """Decode strict base64 that may be broken into lines; ValueError says what is wrong."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        compact = text.translate(None, _BLANKS)
    try:
        return b64decode(compact, validate=True)
    except ValueError:
        if compact.translate(None, _BASE64):
            raise ValueError("characters that are not base64") from None
        raise ValueError(
            f"a length of {counted(len(compact), 'character')} is no whole number of groups of four; cut short?"
        ) from None


def read_inside(root: Path, name: str) -> bytes:
    """Return the bytes of the file ``name`` below ``root``; ImageError says why not.

    Refused are files that are not there, lead outside, are no regular ones, or larger than ``MAX_FILE_BYTES``.
    """
    try:
        base = root.resolve()
        path = (base / name).resolve()
        if not path.is_relative_to(base):
            raise ImageError(f"image_path '{cut(name)}' leads out of the image folder")
        # Opened without waiting, so that a named pipe cannot hold the decode.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 (a descriptor)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"image_path '{cut(name)}' is no regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise ImageError(
                    f"image_path '{cut(name)}' is a file of {counted(status.st_size, 'byte')}: more than"
                    f" {MAX_FILE_BYTES:,} are not read"
                )
            return file.read(status.st_size)  # no more, should it grow meanwhile
    except FileNotFoundError:
        raise ImageError(f"missing file: image_path '{cut(name)}' in {root}") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a circle of links, no permission, a NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"cannot read image_path '{cut(name)}': {reason}") from None
