"""Every fault of a TSV that is there: what its cells say, and which of its images cannot be used."""

from collections.abc import Iterator
from pathlib import Path

from vlmake.data.image_cells import ImageCells, RowImages
from vlmake.data.images import inspect_image
from vlmake.data.tsv import TsvReader
from vlmake.registry.recognition import FAULTS_KEPT, Fault, Recognised, examine


def faults_of(tsv: Path, image_root: Path) -> tuple[Recognised | None, list[Fault], int]:
    """Return what a TSV is recognised as, its faults by row, and their number, which may be larger.

    Args:
        tsv: The TSV.
        image_root: The folder below which its ``image_path`` cells are looked up.

    Raises VlmakeError for a file that is no table.
    """
    found = examine(tsv)
    told = {fault.row for fault in found.faults if fault.kind == "no image"}
    broken = [fault for fault in _broken_images(tsv, image_root) if fault.row not in told]
    faults = sorted([*found.faults, *broken], key=lambda fault: fault.row or 0)
    return found.recognised, faults[:FAULTS_KEPT], found.fault_count + len(broken)


def _broken_images(tsv: Path, image_root: Path) -> Iterator[Fault]:
    def look_at(data: bytes) -> int:
        inspect_image(data)
        return 0

    cells = ImageCells(look_at, image_root)
    with TsvReader(tsv, as_bytes={"image"}) as table:
        places = [table.header.index(name) if name in table.header else None for name in ("image", "image_path")]
        for row in table if places != [None, None] else ():
            image, path = (None if place is None else row.cells[place] for place in places)
            found = cells.of(image, path)
            if isinstance(found, RowImages) and found.error:
                yield Fault(row.number, "image" if image else "image_path", found.error, row.line)
