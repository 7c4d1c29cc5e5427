"""TSVs made to break the decode stage, and what must be true of each.

    python -m tests.faults.hostile_tsv --examples 10000

decodes so many of them in one process, in which an audit hook sees every file that Python opens. It prints as JSON how
many there were of each kind, the CPU seconds of the slowest and the memory of the greediest, beyond what the process
held before. The first that breaks a rule ends it with the shrunk example.
"""

import base64
import functools
import hashlib
import json
import multiprocessing
import os
import re
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from vlmake.data.decode import decode
from vlmake.data.images import ImageError, ImageStore, open_rgb
from vlmake.errors import VlmakeError

MOST_SECONDS = 10.0
MOST_MEGABYTES = 1000


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IEND", b"")


@functools.cache
def odd_images() -> tuple[bytes, ...]:
    """Good images of every kind, and files that only look like images."""
    plain = Image.effect_noise((24, 16), 60).convert("RGB")
    good = [encoded(plain, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "ICO", "PPM")]
    good += [encoded(plain, kind) for kind in ("AVIF", "JPEG2000") if kind in Image.SAVE]
    modes = {"CMYK": "JPEG", "I": "TIFF", "F": "TIFF", **dict.fromkeys(("I;16", "LA", "RGBA", "P", "1"), "PNG")}
    good += [encoded(Image.new(mode, (9, 7)), kind) for mode, kind in modes.items()]
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    animated = ("GIF", "WEBP", "PNG", "TIFF")
    good += [encoded(frames[0], kind, save_all=True, append_images=frames[1:]) for kind in animated]
    for orientation in (1, 3, 6, 8, 99):
        exif = Image.Exif()
        exif[0x0112] = orientation
        good += [encoded(plain, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    good += [encoded(plain, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", progressive=True)]
    bad = [b"", b"\0", b"<!DOCTYPE html><html>quota</html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7"]
    bad += [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        b"II*\0\x08\0\0\0\xff\xff",
    ]
    bad += [b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/hostname) run\n", b"P6 99999999 99999999 255\n", b"P6 -1 4 255\n"]
    bad += [b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\0;"]
    bad += [_png(50_000, 50_000), _png(2**31 - 1, 1), _png(0, 0), _png(8, 8, _chunk(b"IDAT", b"no zlib"))]
    text_bomb = b"Comment\0\0" + zlib.compress(bytes(80 << 20))
    bad += [_png(8, 8, *[_chunk(b"zTXt", text_bomb)] * 2), _png(8, 8, _chunk(b"iCCP", text_bomb))]
    return (*good, *bad)


LARGE: tuple[tuple[str, int, str, dict[str, Any]], ...] = (
    ("1", 13_300, "PNG", {}),
    ("P", 13_300, "PNG", {}),
    ("RGB", 13_300, "PNG", {}),
    ("RGBA", 10_500, "PNG", {}),
    ("I;16", 10_500, "PNG", {}),
    ("RGB", 13_300, "JPEG", {}),
    ("CMYK", 10_500, "JPEG", {}),
    ("RGB", 8_600, "JPEG", {"progressive": True}),
    ("RGB", 10_500, "TIFF", {"compression": "tiff_lzw"}),
    ("L", 13_300, "GIF", {}),
    ("RGB", 7_400, "WEBP", {"method": 0}),
    ("RGB", 6_700, "AVIF", {"speed": 10}),
    ("RGB", 5_300, "JPEG2000", {}),
)
"""Small files of many pixels, just below the limits: mode, side, format, settings."""


def large_images() -> list[bytes]:
    """Return the images of ``LARGE``, made elsewhere so that their making does not count as memory of this process."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(_large_image, LARGE, chunksize=1)


def _large_image(mode: str, side: int, kind: str, options: dict[str, Any]) -> bytes:
    return encoded(Image.new(mode, (side, side)), kind, **options)


class Place:
    """A benchmark's folder with images and links that lead out of it, beside pictures that are nobody's business."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.tsv = self.home / "X.tsv"
        self.root = self.home / "images" / "X"
        self.out = self.home / "out"
        self.outside = folder / "outside"
        self.root.mkdir(parents=True)
        self.outside.mkdir()
        self.out.mkdir()
        self.secret = self.outside / "secret.png"
        self.secret.write_bytes(encoded(Image.new("RGB", (5, 5), "purple"), "PNG"))
        self.secret_digest = hashlib.sha256(self.secret.read_bytes()).hexdigest()
        self.known: set[str] = set()  # images that were decoded before
        (self.root / "sub").mkdir()
        (self.root / "sub" / "a.png").write_bytes(odd_images()[0])
        (self.root / "turned.jpg").write_bytes(odd_images()[1])
        (self.root / "page.png").write_bytes(b"<html>")
        (self.root / "link.png").symlink_to(self.secret)
        (self.root / "relative.png").symlink_to(Path("..") / ".." / ".." / "outside" / "secret.png")
        (self.root / "up").symlink_to(self.outside, target_is_directory=True)
        (self.root / "chain.png").symlink_to("link.png")
        (self.root / "circle.png").symlink_to("circle.png")
        os.mkfifo(self.root / "pipe.png")

    def names(self) -> list[str]:
        """Values for ``image_path``."""
        there = ["sub/a.png", "turned.jpg", "sub/../turned.jpg", "page.png", str(self.root / "turned.jpg")]
        out = [
            "link.png",
            "relative.png",
            "up/secret.png",
            "chain.png",
            "circle.png",
            "pipe.png",
            ".",
            "..",
            "sub",
            "/",
        ]
        out += ["../../../outside/secret.png", "sub/../../../../outside/secret.png", str(self.secret), "~/x.png"]
        out += [
            f"file://{self.secret}",
            f"//{self.secret}",
            "/etc/hostname",
            "/dev/zero",
            "/proc/self/environ",
            "gone.png",
        ]
        return [*there, *out, "x" * 5000, "a/" * 3000, "\ufeff", "nul\\x00byte", "\\ud800", "http://127.0.0.1:9/x.png"]


@dataclass(frozen=True)
class ImageCell:
    """One of the images as base64, right or in one of the ways in which it is wrong."""

    number: int
    how: str
    at: int

    def text(self, images: Sequence[bytes]) -> str:
        data = images[self.number]
        text = base64.b64encode(data).decode()
        place = self.at % (len(text) + 1)
        ways: dict[str, Callable[[], str]] = {
            "right": lambda: text,
            "cut": lambda: text[:place],
            "lines": lambda: base64.encodebytes(data).decode(),
            "data url": lambda: "data:image/png;base64," + text,
            "url alphabet": lambda: text.replace("+", "-").replace("/", "_"),
            "letter": lambda: text[:place] + "é" + text[place:],
            "bytes": lambda: base64.b64encode(data[:place] + b"\xff\0" + data[place + 2 :]).decode(),
            "cut image": lambda: base64.b64encode(data[: self.at % (len(data) + 1)]).decode(),
            "twice": lambda: base64.b64encode(text.encode()).decode(),
        }
        return ways[self.how]()


@dataclass(frozen=True)
class ListCell:
    """A list as Python or JSON writes it, whole or spoilt."""

    items: tuple[ImageCell | str, ...]
    how: str

    def text(self, images: Sequence[bytes]) -> str:
        texts = [item if isinstance(item, str) else item.text(images) for item in self.items]
        return {
            "python": str(texts),
            "json": json.dumps(texts),
            "open": f"{str(texts)[:-1]} ]]",
            "bare": f"[{','.join(texts)}]",
            "code": "[__import__('os').abort()]",
            "nested": str([texts]),
        }[self.how]


@dataclass(frozen=True)
class HostileTsv:
    """What a file is made of; the bytes are made of it later, for hypothesis keeps what it drew."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | ImageCell | ListCell]]
    quoted: str
    end: str
    ends_with_line: bool
    encoding: str
    damage: str
    at: int

    def content(self, images: Sequence[bytes]) -> bytes:
        texts = [[cell if isinstance(cell, str) else cell.text(images) for cell in row] for row in self.rows]
        lines = ["\t".join(_quoted(cell, self.quoted) for cell in row) for row in [self.columns, *texts]]
        whole = self.end.join(lines) + (self.end if self.ends_with_line else "")
        return _damaged(whole.encode(self.encoding, "replace"), self.damage, self.at)


TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12),
    st.sampled_from(["", "NA", "007", '"', '""', 'a"b', "a\tb", "a\nb", "a\r\nb", "\r", "\ufeff", "x" * 70_000]),
)

HEADERS = [
    *[["index", "image", "question"]] * 2,
    ["index", "image_path"],
    ["index", "image", "image_path"],
    ["image", "index", "images", "group"],
]
BAD_HEADERS = [["index", "question"], ["image"], ["index", "image", "image"], ["index", "image", ""], ["image", "id"]]
BAD_HEADERS += [["index", "image", "images", "tsv:images"]]
EXTRA_COLUMNS = ["A", "answer", "hint", "q" * 300, "é"]
FAULTS = ("header", "index", "references", "quoting", "line ends", "encoding", "damage")
"""What may be wrong with a file as a whole; of faults in single images there may be any number."""


WAYS = ["right"] * 4 + ["cut", "lines", "data url", "url alphabet", "letter", "bytes", "bytes", "cut image", "twice"]
LIST_WAYS = ["python", "python", "json", "json", "open", "bare", "code", "nested"]


@st.composite
def hostile_tsvs(draw: st.DrawFn, names: Sequence[str], images: int) -> HostileTsv:
    """Draw a file that somebody might call a benchmark, with so many images to choose from."""
    faults = draw(st.one_of(st.just([]), st.lists(st.sampled_from(FAULTS), max_size=2)))

    def choose(fault: str, usual: Sequence[Any], wrong: Sequence[Any]) -> Any:
        return draw(st.sampled_from(wrong if fault in faults else usual))

    def listed(items: st.SearchStrategy[Any]) -> st.SearchStrategy[ListCell]:
        return st.builds(ListCell, st.lists(items, max_size=3).map(tuple), st.sampled_from(LIST_WAYS))

    columns = choose("header", HEADERS, BAD_HEADERS) + [name for name in EXTRA_COLUMNS if draw(st.integers(0, 3)) == 0]
    count = draw(st.integers(1, 6))
    indices = [str(number) for number in range(count)]
    if "index" in faults:
        indices = [draw(st.one_of(st.sampled_from(["0", "1", "", " "]), TEXTS)) for _ in indices]
    inline = st.builds(ImageCell, st.integers(0, images - 1), st.sampled_from(WAYS), st.integers(0, 1 << 20))
    path = st.sampled_from(list(names))
    there = st.sampled_from(["", " ", *indices[:1]])
    astray = st.one_of(st.sampled_from([*indices, "99"]), TEXTS)
    cells: dict[str, Callable[[int], st.SearchStrategy[Any]]] = {
        "index": lambda row: st.just(indices[row]),
        "image": lambda row: st.one_of(
            inline, inline, listed(inline), astray if "references" in faults else there if row else inline
        ),
        "image_path": lambda row: st.one_of(path, path, listed(path), TEXTS),
    }
    return HostileTsv(
        columns,
        [[draw(cells.get(column, lambda row: TEXTS)(row)) for column in columns] for row in range(count)],
        quoted=choose("quoting", ["where needed", "always"], ["never"]),
        end=choose("line ends", ["\n", "\r\n"], ["\r", "\n\n", "\r\r\n"]),
        ends_with_line=draw(st.booleans()),
        encoding=choose("encoding", ["utf-8", "utf-8", "utf-8-sig"], ["utf-16", "latin-1", "utf-32", "gb18030"]),
        damage=choose("damage", ["no"], DAMAGES),
        at=draw(st.integers(0, 1 << 24)),
    )


def _quoted(cell: str, how: str) -> str:
    if how == "always" or (how == "where needed" and any(letter in cell for letter in '"\t\n\r')):
        return '"' + cell.replace('"', '""') + '"'
    return cell


DAMAGES = ("cut", "nul", "byte", "quote", "doubled", "missing", "ragged", "empty", "columns")


def _damaged(content: bytes, how: str, at: int) -> bytes:
    place = at % (len(content) + 1)
    start, rest = content[:place], content[place:]
    return {
        "no": content,
        "cut": start,
        "nul": start + b"\0" + rest,
        "byte": start + b"\xff" + rest[1:],
        "quote": start + b'\t"' + rest,
        "doubled": content + content,
        "missing": start + rest[at % 50 :],
        "ragged": content + b"1\t2\t3\t4\t5\t6\t7\t8\t9\n",
        "empty": b"",
        "columns": b"\t".join(b"c%d" % number for number in range(at % 30_000)) + b"\n" + content,
    }[how]


def check(place: Place, content: bytes) -> str:
    """Decode a file and check everything that must be true whatever it is; return what became of it."""
    place.tsv.write_bytes(content)
    samples, images = place.out / "samples.parquet", place.out / "images.arrow"
    for old in (samples, images):
        old.unlink(missing_ok=True)
    source = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    try:
        done = decode(place.tsv, source, place.root, samples, images)
    except VlmakeError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 1500
        assert str(place.tsv) in text
        assert any(word in text for word in ("row", "header", "line ", "column")), text
        assert not list(place.out.iterdir()), "a refused file left something"
        return "refused"
    rows = pq.read_table(samples, columns=["images", "image_error"]).to_pylist()
    assert len(rows) == done.rows > 0
    with ImageStore(images) as store:
        for row in rows:
            assert bool(row["images"]) != bool(row["image_error"])
            assert all(digest in store for digest in row["images"])
            assert "\n" not in (row["image_error"] or "") and len(row["image_error"] or "") < 500
        assert place.secret_digest not in store, "a file outside was read"
        for digest in set(store) - place.known:
            place.known.add(digest)
            try:
                assert open_rgb(store.bytes(digest)).mode == "RGB"
            except ImageError as error:
                assert "\n" not in str(error)
    return "marked" if done.broken else "whole"


@contextmanager
def watched_opens(allowed: Sequence[Path], seen: set[str]) -> Iterator[Callable[[bool], None]]:
    """Collect in ``seen`` the real path of what Python opens anywhere but below ``allowed``; yields the switch.

    An audit hook stays for the life of the process, so this is for a process of its own.
    """
    on = False
    prefixes = tuple(f"{folder.resolve()}/" for folder in allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if on and event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith(prefixes):
                seen.add(path)

    def switch(value: bool) -> None:
        nonlocal on
        on = value

    sys.addaudithook(hook)
    yield switch
    switch(False)


def reset_peak() -> float:
    """Forget the peak of this process's memory (Linux); return what it holds now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@click.command()
@click.option("--examples", default=1000, show_default=True, help="How many TSVs.")
@click.option("--large/--no-large", default=True, help="With images near the limits of size.")
def main(examples: int, large: bool) -> None:
    """Decode hostile TSVs and print what came of them."""
    outcomes: Counter[str] = Counter()
    most: dict[str, tuple[float, str]] = {"seconds": (0.0, ""), "megabytes": (0.0, "")}
    seen: set[str] = set()
    libraries = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2] / "src"]
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        images = (*odd_images(), *(large_images() if large else ()))
        check(place, b"index\timage_path\n1\tsub/a.png\n")  # whatever libraries open the first time, they open it now
        with watched_opens([place.home, *libraries], seen) as watch:
            watch(True)
            (place.root / "link.png").open("rb").close()  # the hook sees what a link leads to
            assert seen == {str(place.secret.resolve())}, "the audit hook does not work"
            watch(False)
            seen.clear()

            @settings(
                max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
            )  # fmt: skip
            @given(hostile_tsvs(place.names(), len(images)))
            def run(tsv: HostileTsv) -> None:
                content = tsv.content(images)
                before, start = reset_peak(), time.process_time()
                watch(True)
                try:
                    outcomes[check(place, content)] += 1
                finally:
                    watch(False)
                for name, value in (("seconds", time.process_time() - start), ("megabytes", peak() - before)):
                    most[name] = max(most[name], (round(value, 2), repr(tsv)[:600]))
                assert not seen, f"opened: {seen}"

            run()
    click.echo(json.dumps({"examples": sum(outcomes.values()), **outcomes, "most": most}))
    if most["seconds"][0] > MOST_SECONDS or most["megabytes"][0] > MOST_MEGABYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
