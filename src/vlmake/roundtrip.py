"""The pixels that VLMEvalKit's models see: it saves every image again before a model gets it, often as a lossy JPEG.

An image that is shown in another form than the benchmark's own has an id of its own, ``<digest>.<form>``, so that
prompts and the keys of predictions tell the two apart. Its bytes are made when they are asked for.

Source: VLMEvalKit's ``dump_image``, ``decode_base64_to_image_file`` and, for large files, ``localize_df``. One thing is
left out: of rows that share an ``image_path`` but not the image, VLMEvalKit shows the first row's image to all.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from vlmake.errors import VlmakeError
from vlmake.images import ImageStore, open_as_stored, open_rgb
from vlmake.literals import list_items

LARGE_TSV_BYTES = 1 << 30
"""A larger TSV is rewritten by VLMEvalKit with its images in files called ``<index>.jpg``, not ``<index>.png``."""

# The endings whose format loses something, with Pillow's settings when it is told nothing. All others show the same
# pixels as before: PNG, BMP and TIFF lose nothing, and with an unknown ending VLMEvalKit stops.
_FORM_OF_ENDING = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif"), "jpeg75"),
    ".webp": "webp80",
    ".gif": "gif",
}
_PILLOW_FORMAT = {"jpeg75": "JPEG", "webp80": "WEBP", "gif": "GIF"}
_TO_RGB = ("RGBA", "P", "LA")  # what VLMEvalKit converts before it saves

_KEPT_ENCODED = 64  # questions on one image follow each other, and several threads prepare them


class TsvFacts(NamedTuple):
    """What decides about names besides a row's own cells: the TSV's size, and whether it holds images at all."""

    size: int
    embedded: bool


def tsv_facts(metadata: Mapping[bytes, bytes] | None, samples: str) -> TsvFacts:
    """Return what the decode stage wrote about the TSV; ``samples`` is the file's name for the error line.

    Raises VlmakeError for samples that an earlier version decoded.
    """
    try:
        about = json.loads((metadata or {})[b"vlmake"])
        return TsvFacts(int(about["tsv_bytes"]), bool(about["embedded"]))
    except (KeyError, ValueError, TypeError):
        raise VlmakeError(
            f"{samples} does not say how large its TSV was, which image_roundtrip needs; delete it, it is made anew"
        ) from None


def shown_ids(digests: Sequence[str], image_path: str | None, tsv: TsvFacts) -> list[str]:
    """Return the ids of a row's images as VLMEvalKit shows them.

    Args:
        digests: The row's images.
        image_path: Its cell of that name, which names the files that VLMEvalKit writes; None without one.
        tsv: About the file. Without embedded images the files are there already and shown as they are.
    """
    if not tsv.embedded:
        return list(digests)
    names = _names(image_path) or [".jpg" if tsv.size > LARGE_TSV_BYTES else ".png"]
    if len(names) != len(digests):
        names = [names[0]] * len(digests)
    return [_shown_id(digest, name) for digest, name in zip(digests, names, strict=True)]


def _names(image_path: str | None) -> list[str]:
    text = (image_path or "").strip()
    listed = list_items(text) if text.startswith("[") and text.endswith("]") else None
    return listed or ([text] if text else [])


def _shown_id(digest: str, name: str) -> str:
    ending = PurePosixPath(f"x{name}").suffix.lower()
    return f"{digest}.{_FORM_OF_ENDING[ending]}" if ending in _FORM_OF_ENDING else digest


def digest_of(image_id: str) -> str:
    """Return the digest of the benchmark's own image behind an id."""
    return image_id.partition(".")[0]


class ShownImages:
    """An image store that also knows the ids of ``shown_ids``."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._encoded = lru_cache(_KEPT_ENCODED)(partial(_encoded, store))

    def bytes(self, image_id: str) -> bytes:
        """Return an image's bytes, encoded anew if its id says so.

        Raises:
            ImageError: Pixels that cannot be decoded.
            VlmakeError: An id that the store does not hold.
        """
        return self._encoded(image_id) if "." in image_id else self._store.bytes(image_id)


def _encoded(store: ImageStore, image_id: str) -> bytes:
    digest, _, form = image_id.partition(".")
    return encode_again(store.bytes(digest), form)


def encode_again(data: bytes, form: str) -> bytes:
    """Return an image saved in another form, as Pillow saves it when it is told nothing but the format.

    Raises:
        ImageError: Pixels that cannot be decoded.
    """
    image = open_as_stored(data)
    if image.mode in _TO_RGB:
        image = image.convert("RGB")
    try:
        return _saved(image, form)
    except (OSError, ValueError):  # a mode that the format does not know; VLMEvalKit would stop here
        return _saved(open_rgb(data), form)


def _saved(image: Image.Image, form: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, _PILLOW_FORMAT[form])
    return buffer.getvalue()
