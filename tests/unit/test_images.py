"""The image store and the two checks of an image: its header, and all of its pixels."""

import hashlib
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from vlmake.data import images
from vlmake.data.images import ImageError, ImageInfo, ImageStore, ImageWriter, inspect_image, open_rgb
from vlmake.errors import VlmakeError

REPOSITORY = Path(__file__).parents[2]


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.effect_noise((width, height), 80).convert("RGB")


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises any size and whose body is empty."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_header_and_pixels_of_good_images(kind: str) -> None:
    data = encode(noise(), kind)
    assert inspect_image(data) == ImageInfo(kind, 40, 30)
    image = open_rgb(data)
    assert image.mode == "RGB" and image.size == (40, 30)
    with Image.open(BytesIO(data)) as plain:
        assert image.tobytes() == plain.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no bytes"),
        (b"<!DOCTYPE html><html>quota</html>", "an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"%PDF-1.7 rest", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "broken or cut header"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "broken"),
        (b"no image at all", "15 bytes of an unknown format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown format"),
        (png_of(50_000, 50_000), "decompression bomb"),
        (png_of(2**31 - 1, 1), "decompression bomb"),
    ],
)
def test_broken_headers_are_typed_errors(data: bytes, words: str) -> None:
    for function in (inspect_image, open_rgb):
        with pytest.raises(ImageError, match=words):
            function(data)


def test_the_limit_holds_whatever_pillow_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="decompression bomb"):
        inspect_image(png_of(20_000, 20_000))


@pytest.mark.parametrize(
    ("kind", "mode", "side"),
    [("PNG", "RGBA", 10_607), ("PNG", "LA", 10_607), ("WEBP", "RGB", 7_501), ("JPEG", "CMYK", 10_607)],
)
def test_what_takes_more_memory_to_decode_has_a_lower_limit(kind: str, mode: str, side: int) -> None:
    """About 900 MB at most: pixels of four bytes, as they are stored and as RGB, and what the decoder holds."""
    assert inspect_image(promising(kind, mode, side - 1)).width == side - 1
    with pytest.raises(ImageError, match=rf"{side} x {side} is more than .* pixels \({kind}\): refused"):
        inspect_image(promising(kind, mode, side))


def promising(kind: str, mode: str, side: int) -> bytes:
    """A small image whose header promises a large square one."""
    data = bytearray(encode(Image.new(mode, (8, 8)), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "WEBP":
        data[26:30] = struct.pack("<HH", side, side)
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


@pytest.mark.filterwarnings("error")
def test_large_images_below_the_limit_pass_without_a_warning() -> None:
    assert inspect_image(png_of(12_000, 12_000)) == ImageInfo("PNG", 12_000, 12_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncated_images_pass_the_header_and_fail_the_decode(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as code that comes with models does
    data = encode(noise(200, 200), kind)
    data = data[: len(data) * 2 // 3]
    with pytest.raises(ImageError, match=r"damaged|broken|not an image"):
        open_rgb(data)


def test_unusual_images_become_plain_rgb() -> None:
    assert open_rgb(encode(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG")).getpixel((0, 0))[0] > 200
    assert open_rgb(encode(Image.new("I;16", (4, 4), 0x8080), "PNG")).getpixel((0, 0)) == (128, 128, 128)
    assert open_rgb(encode(Image.new("RGBA", (4, 4), (9, 8, 7, 0)), "PNG")).getpixel((0, 0)) == (9, 8, 7)
    assert open_rgb(encode(Image.new("P", (4, 4)), "PNG")).mode == "RGB"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    animated = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_rgb(animated).getpixel((0, 0)) == (255, 0, 0)
    turned = Image.Exif()
    turned[0x0112] = 6
    assert open_rgb(encode(noise(40, 30), "JPEG", exif=turned)).size == (40, 30)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_an_image_or_a_typed_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
    content = bytearray(encode(Image.new("RGB", (16, 16), "teal"), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        inspect_image(damaged)
        assert open_rgb(damaged).mode == "RGB"
    except ImageError:
        pass


def write_store(path: Path, blobs: list[bytes]) -> list[str]:
    with ImageWriter(path) as writer:
        return [writer.add(blob) for blob in blobs]


def test_a_store_keeps_each_image_once_and_byte_for_byte(tmp_path: Path) -> None:
    blobs = [encode(noise(), "JPEG"), encode(noise(7, 9), "PNG")]
    digests = write_store(tmp_path / "i.arrow", [*blobs, blobs[0]])
    assert digests == [hashlib.sha256(blob).hexdigest() for blob in [*blobs, blobs[0]]]
    with ImageStore(tmp_path / "i.arrow") as store:
        assert len(store) == 2 and list(store) == digests[:2]
        assert [store.bytes(digest) for digest in digests[:2]] == blobs
        assert [store.info(digest) for digest in digests[:2]] == [("JPEG", 40, 30), ("PNG", 7, 9)]
        assert digests[0] in store and "f" * 64 not in store and 5 not in store
        with pytest.raises(VlmakeError, match="holds no image ffff"):
            store.bytes("f" * 64)


def test_equal_images_give_equal_files(tmp_path: Path) -> None:
    blobs = [encode(noise(), "PNG") for _ in range(5)]
    for name in ("a", "b"):
        write_store(tmp_path / name, blobs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_broken_image_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with ImageWriter(tmp_path / "i.arrow") as writer:
        for _ in range(2):
            with pytest.raises(ImageError, match="HTML"):
                writer.add(b"<html>")
        assert writer.count == 0
    with ImageStore(tmp_path / "i.arrow") as store:
        assert len(store) == 0


def test_batches_bound_what_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BATCH_BYTES", 10_000)
    blobs = [encode(noise(), "PNG") for _ in range(20)]
    blobs.insert(7, encode(noise(200, 200), "BMP"))  # larger than a batch
    with ImageWriter(tmp_path / "i.arrow") as writer:
        for blob in blobs:
            writer.add(blob)
            assert writer._pending_bytes <= 10_000 or len(writer._pending) == 1
    with ImageStore(tmp_path / "i.arrow") as store:
        assert len(store._batches) > 3
        assert [store.bytes(digest) for digest in store] == blobs


def test_files_that_are_no_store(tmp_path: Path) -> None:
    path = tmp_path / "i.arrow"
    with pytest.raises(VlmakeError, match="cannot read"):
        ImageStore(path)
    write_store(path, [encode(noise(), "PNG")])
    whole = path.read_bytes()
    for content in (b"", b"not arrow at all", whole[: len(whole) // 2], whole[:-20]):
        path.write_bytes(content)
        with pytest.raises(VlmakeError, match="delete it and run the same command again"):
            ImageStore(path)


def test_reading_one_image_does_not_load_the_store(tmp_path: Path) -> None:
    path = tmp_path / "i.arrow"
    padding = bytes(5_000_000)  # Pillow ignores what follows an image
    with ImageWriter(path) as writer:
        digests = [writer.add(encode(Image.new("RGB", (8, 8), (shade, 0, 0)), "BMP") + padding) for shade in range(24)]
    code = (
        "import re, sys; from pathlib import Path; from vlmake.data.images import ImageStore\n"
        "peak = lambda: int(re.search(r'VmHWM:[^0-9]*([0-9]+)', Path('/proc/self/status').read_text())[1])  # kB\n"
        "before = peak()\n"
        "size = len(ImageStore(Path(sys.argv[1])).bytes(sys.argv[2]))\n"
        "print(size, peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), digests[11]],
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    size, grown = map(int, done.stdout.split())
    assert size > 5_000_000 and path.stat().st_size > 100_000_000 and grown < 40_000  # kilobytes
