"""Thumbnails: what the model saw, small enough for a page that holds hundreds of them.

Pixels are always encoded anew from what the model was given. Image files from a benchmark may carry anything (another
orientation, animation, transparency, places and names); none of that gets into the page.
"""

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from vlmake.data.images import open_rgb

LONGEST_SIDE = 320
_JPEG_QUALITY = 80


class Picture(NamedTuple):
    """A thumbnail as a data URI, with its own size and that of the original."""

    digest: str
    uri: str
    width: int
    height: int
    original_width: int
    original_height: int


def thumbnail(digest: str, data: bytes) -> Picture:
    """Return an image file's thumbnail, never enlarged: PNG or JPEG, whichever is smaller.

    Raises:
        ImageError: The image cannot be decoded.
    """
    image = open_rgb(data)
    original = image.size
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    kind, encoded = min((("png", _encoded(image, "PNG")), ("jpeg", _encoded(image, "JPEG"))), key=lambda it: len(it[1]))
    return Picture(digest, f"data:image/{kind};base64,{b64encode(encoded).decode()}", *image.size, *original)


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, optimize=True, quality=_JPEG_QUALITY)
    return buffer.getvalue()
