"""The image store: every distinct image of a benchmark once, with its original bytes, in one memory-mapped Arrow file.

An image is known by its digest, the SHA-256 of its original bytes. The header is checked when an image enters the
store; only ``open_rgb`` decodes pixels, where they are used, and finds the files that are cut short.

What becomes of unusual images stands in ``POLICY``, which goes into the metadata of every benchmark's samples.
"""

import hashlib
import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow as pa
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from vlmake.data.columns import blobs, integers, texts
from vlmake.errors import VlmakeError, counted

SCHEMA = pa.schema(
    [
        pa.field("digest", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("bytes", pa.large_binary(), nullable=False),
    ]
)

POLICY = {
    "exif_orientation": "ignored",  # as VLMEvalKit does; only in TIFF is it part of the format, and Pillow applies it
    "rgb": {
        "16-bit grey": "scaled to 8 bits",  # Pillow alone would cut it off at 255
        "transparency": "dropped",
        "CMYK": "converted",
        "animation": "first frame",
    },
}
"""How image files become the RGB pixels that models see."""

BATCH_BYTES = 8 << 20
"""Image bytes that go into one record batch, and what the writer holds in memory; a larger image gets its own."""

MAX_PIXELS = 178_956_970
"""Larger images are refused as decompression bombs: Pillow's own limit for an error."""

MAX_DECODING_BYTES = 900_000_000
"""Images whose decoding would take more memory are refused as well."""

# What decoding takes at its peak, in bytes a pixel, measured: Pillow's own pixels and what its decoders hold meanwhile.
_DECODER_BYTES = {"WEBP": 12, "AVIF": 16, "JPEG2000": 28, "TIFF": 4}
_MODE_BYTES = {"RGB": 4, "L": 5, "P": 5, "1": 5}
_OTHER_MODE_BYTES = 8  # four bytes as they are and four as RGB
_PROGRESSIVE_BYTES = 8  # a progressive JPEG's coefficients, of two bytes each

# Raster formats that are known by their first bytes and decoded inside Pillow. Others stay out: EPS, for one, would
# start Ghostscript, and TGA has no mark of its own, so that noise would pass for it.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")


NO_IMAGE = "no image"
"""The ``image_error`` of rows that have no image at all."""


class ImageError(VlmakeError):
    """An image that cannot be used; its text is the short reason."""


class ImageInfo(NamedTuple):
    """What an image's header says; ``format`` is Pillow's name for it, e.g. ``JPEG``."""

    format: str
    width: int
    height: int


def inspect_image(data: bytes) -> ImageInfo:
    """Read an image's header without decoding its pixels.

    Raises:
        ImageError: No bytes, no known image format, a broken header, or more than ``MAX_PIXELS`` pixels.
    """
    with _open(data) as image:
        return _info(image)


def open_rgb(data: bytes) -> Image.Image:
    """Decode an image completely; return it as RGB, without what else its file says (orientation, profile, text).

    Raises:
        ImageError: What ``inspect_image`` finds, and pixel data that is cut short or damaged.
    """
    image = open_as_stored(data)
    try:
        rgb = _as_rgb(image)
    except Exception as error:  # a palette, for one, may be anything
        raise _undecodable(image, error) from error
    rgb.info = {}  # else a processor of transformers might find the orientation there and apply it
    return rgb


def open_as_stored(data: bytes) -> Image.Image:
    """Decode an image completely, in Pillow's mode for what the file holds; ImageError as ``open_rgb``."""
    # Code that ships with models sets this for the whole process; a cut image would then pass, half grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image = _open(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except Exception as error:  # decoders raise nearly anything on hostile bytes
        failure = _undecodable(image, error)
        image.close()  # else the error, which callers may keep, would keep all the pixels
        raise failure from error
    return image


def _undecodable(image: Image.Image, error: Exception) -> ImageError:
    return ImageError(f"damaged or cut short: {image.format} pixels do not decode ({_short(error)})")


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return loaded pixels as a plain RGB image."""
    if image.mode == "RGB":
        return image._new(image.im)  # without the copy that convert() makes, which counts for large images
    if image.mode.startswith("I;16"):
        to_8_bits = [(value + 128) // 257 for value in range(1 << 16)]
        return image.convert("I").point(to_8_bits, "L").convert("RGB")
    return image.convert("RGB")


class ImageWriter:
    """Writes an image store to ``path``, batch by batch; the caller sees to the atomic rename."""

    def __init__(self, path: Path) -> None:
        self._known: dict[str, ImageError | None] = {}
        self._pending: list[tuple[str, ImageInfo, int]] = []  # with the place behind the image's last byte
        self._pending_bytes = 0
        self._room = bytearray(BATCH_BYTES)  # used again for every batch: fresh memory costs more than the copy
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, SCHEMA)
        self.count = 0
        self.turned = 0
        """How many of the images carry an orientation that is not applied."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
                self._writer.close()
        finally:
            self._sink.close()

    def add(self, data: bytes) -> str:
        """Take an image in unless it is there already; return its digest.

        Raises:
            ImageError: What ``inspect_image`` finds; the store is left as it was.
        """
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._known:
            try:
                with _open(data) as image:
                    info = _info(image)
                    self.turned += _is_turned(image)
            except ImageError as error:
                self._known[digest] = ImageError(str(error))  # without the traceback, which would hold the bytes
            else:
                self._known[digest] = None
                self._keep(digest, info, data)
        if broken := self._known[digest]:
            raise ImageError(str(broken))
        return digest

    def _keep(self, digest: str, info: ImageInfo, data: bytes) -> None:
        if self._pending_bytes + len(data) > BATCH_BYTES:
            self._flush()
        if len(data) > len(self._room):
            self._room = bytearray(len(data))
        end = self._pending_bytes + len(data)
        self._room[self._pending_bytes : end] = data
        self._pending_bytes = end
        self._pending.append((digest, info, end))
        self.count += 1

    def _flush(self) -> None:
        if not self._pending:
            return
        digests, infos, ends = zip(*self._pending, strict=True)
        columns = [
            texts(digests),
            texts(info.format for info in infos),
            integers([info.width for info in infos]),
            integers([info.height for info in infos]),
            blobs(memoryview(self._room)[: self._pending_bytes], ends),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
        self._pending.clear()
        self._pending_bytes = 0
        if len(self._room) > BATCH_BYTES:
            self._room = bytearray(BATCH_BYTES)


class ImageStore:
    """The images of a benchmark by digest; the file is memory-mapped, only what is asked for is read.

    Use it as a context manager, or let it live as long as the process.
    """

    def __init__(self, path: Path) -> None:
        """Open the store at ``path``; VlmakeError when it is absent, cut short or not an image store."""
        self.path = Path(path)
        try:
            self._map = pa.memory_map(str(path), "r")
        except OSError as error:
            raise VlmakeError(f"cannot read the image store {path}: {error.strerror or error}") from error
        try:
            reader = pa.ipc.open_file(self._map)
            if not reader.schema.equals(SCHEMA):
                raise VlmakeError(f"{path} is no image store of this version; decode the benchmark again")
            self._batches: list[Any] = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        except (pa.ArrowInvalid, OSError) as error:
            self._map.close()
            raise VlmakeError(
                f"the image store {path} is damaged ({error}); delete it and run the same command again"
            ) from error
        except VlmakeError:
            self._map.close()
            raise
        self._place = {
            digest: (number, row)
            for number, batch in enumerate(self._batches)
            for row, digest in enumerate(batch.column("digest").to_pylist())
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._batches.clear()
        self._place.clear()
        self._map.close()

    def __contains__(self, digest: object) -> bool:
        return digest in self._place

    def __len__(self) -> int:
        return len(self._place)

    def __iter__(self) -> Iterator[str]:
        """Yield the digests in the order in which the images were met."""
        return iter(self._place)

    def bytes(self, digest: str) -> bytes:
        """Return the original bytes of an image; VlmakeError for an unknown digest."""
        data: bytes = self._cell(digest, "bytes")
        return data

    def info(self, digest: str) -> ImageInfo:
        """Return format and size of an image; VlmakeError for an unknown digest."""
        return ImageInfo(self._cell(digest, "format"), self._cell(digest, "width"), self._cell(digest, "height"))

    def _cell(self, digest: str, column: str) -> Any:
        try:
            number, row = self._place[digest]
        except KeyError:
            raise VlmakeError(
                f"{self.path} holds no image {digest}; the samples belong to another decode, decode the benchmark again"
            ) from None
        return self._batches[number].column(column)[row].as_py()


def _open(data: bytes) -> Image.Image:
    """Open an image by its header."""
    if not data:
        raise ImageError("empty: no bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of half a bomb and of odd EXIF data. The limit is checked below, whatever Pillow's is set to.
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(data), formats=_formats())
    except Image.DecompressionBombError:
        raise ImageError(f"more than {MAX_PIXELS:,} pixels: refused as a decompression bomb") from None
    except UnidentifiedImageError:
        raise ImageError(f"not an image: {_kind(data)}") from None
    except Exception as error:  # plugins raise nearly anything on hostile headers
        raise ImageError(f"broken image header ({_short(error)})") from error
    most = min(MAX_PIXELS, MAX_DECODING_BYTES // _bytes_per_pixel(image))
    if image.width * image.height > most:
        raise ImageError(
            f"{image.width} x {image.height} is more than {most:,} pixels ({image.format}): "
            "refused as a decompression bomb"
        )
    if not image.width or not image.height:
        raise ImageError(f"broken image header ({image.width} x {image.height} pixels)")
    return image


def _bytes_per_pixel(image: Image.Image) -> int:
    """Return what decoding takes at its peak."""
    progressive = _PROGRESSIVE_BYTES if image.info.get("progressive") else 0
    decoder = _DECODER_BYTES.get(image.format or "", 0)
    return _MODE_BYTES.get(image.mode, _OTHER_MODE_BYTES) + decoder + progressive


def _info(image: Image.Image) -> ImageInfo:
    return ImageInfo(image.format or "", image.width, image.height)


def _is_turned(image: Image.Image) -> bool:
    """Tell whether the header holds an EXIF orientation from 2 to 8 that is not applied."""
    if image.format == "TIFF":
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The general method: that of PNG would decode all pixels to look behind them.
            return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) in range(2, 9)
    except Exception:  # EXIF data may be anything; then it says nothing
        return False


@cache
def _formats() -> tuple[str, ...]:
    """Return the accepted formats that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _kind(data: bytes) -> str:
    """Say what bytes that are no image look like."""
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if b"<svg" in data[:1024].lower():
        return "an SVG drawing, which has no pixels"
    if start.startswith(b"%pdf"):
        return "a PDF document"
    if start.startswith((b"\x89png", b"\xff\xd8", b"gif8", b"riff", b"bm")):
        return f"a broken or cut header in {counted(len(data), 'byte')}"
    return f"{counted(len(data), 'byte')} of an unknown format"


def _short(error: Exception) -> str:
    """Return an error's class and the start of its text."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
