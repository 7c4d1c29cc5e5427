"""The pixels that VLMEvalKit's models see: it saves every image again before a model gets it, often as a lossy JPEG.

An image that is shown in another form than the benchmark's own has an id of its own, ``<digest>.<form>``, so that
prompts and the keys of predictions tell the two apart. Its bytes are made when they are asked for.

Source: VLMEvalKit's ``dump_image``, ``decode_base64_to_image_file`` and, for large files, ``localize_df``.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import NamedTuple

import pyarrow as pa
from PIL import Image

from vlmake.data.columns import text_lists
from vlmake.data.images import ImageStore, open_as_stored, open_rgb
from vlmake.data.literals import list_items
from vlmake.errors import VlmakeError

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


def with_shown_images(samples: pa.Table, where: str) -> pa.Table:
    """Return samples, from the benchmark's first row on, with the ids of the images that VLMEvalKit shows.

    ``where`` is their file's name for the error line. Raises VlmakeError for samples that an earlier version decoded.
    """
    images = samples.column("images").to_pylist()
    named = "image_path" in samples.column_names
    image_paths = samples.column("image_path").to_pylist() if named else [None] * len(images)
    shown = text_lists(shown_ids(images, image_paths, tsv_facts(samples.schema.metadata, where)))
    return samples.set_column(samples.column_names.index("images"), "images", shown)


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


def shown_ids(images: Sequence[Sequence[str]], image_paths: Sequence[str | None], tsv: TsvFacts) -> list[list[str]]:
    """Return the ids of the images that VLMEvalKit shows for each row.

    An image is saved under a name of its row, and a name that is there already is not written again: of rows that share
    an ``image_path`` but not the image, all are shown the first one's.

    Args:
        images: Digests of every row's images, from the benchmark's first row on.
        image_paths: The rows' cells of that name; None without one.
        tsv: About the file. Without embedded images the files are there already and shown as they are.
    """
    if not tsv.embedded:
        return [list(digests) for digests in images]
    first: dict[str, str] = {}
    unnamed = ".jpg" if tsv.size > LARGE_TSV_BYTES else ".png"

    def shown(digest: str, name: str | None) -> str:
        return _shown_id(digest, unnamed) if name is None else _shown_id(first.setdefault(name, digest), name)

    return [
        [shown(digest, name) for digest, name in zip(digests, _names(path, len(digests)), strict=True)]
        for digests, path in zip(images, image_paths, strict=True)
    ]


def _names(image_path: str | None, count: int) -> Sequence[str | None]:
    """Return the names under which a row's images are saved; None for one that its index names."""
    text = (image_path or "").strip()
    listed = list_items(text) if text.startswith("[") and text.endswith("]") else None
    names = listed or ([text] if text else [])
    if len(names) == count:
        return names
    if not names:
        return [None] * count
    # One name for several images: each is saved beside it, with its number and the same ending.
    start, ending = str(PurePosixPath(names[0]).with_suffix("")), PurePosixPath(names[0]).suffix
    return [f"{start}_{number}{ending}" for number in range(count)]


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
