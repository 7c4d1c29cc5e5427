"""Every fault of a TSV that is there: what its cells say, and which of its images cannot be used."""

import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from vlmake.data.decode import decode
from vlmake.data.download import hash_file
from vlmake.registry.recognition import Fault, Recognised, examine


def faults_of(tsv: Path, image_root: Path) -> tuple[Recognised | None, list[Fault], int]:
    """Return what a TSV is recognised as, its faults by row, and their number, which may be larger.

    Args:
        tsv: The TSV.
        image_root: The folder below which its ``image_path`` cells are looked up.

    Raises VlmakeError for a file that is no table of samples, and for references between rows that lead nowhere.
    """
    found = examine(tsv)
    faults, count = list(found.faults), found.fault_count
    if not any(fault.row is None or fault.column == "index" for fault in faults):  # else decode would stop there
        known = {fault.row for fault in faults if fault.kind == "no image"}
        broken = [fault for fault in _broken_images(tsv, image_root) if fault.row not in known]
        faults = sorted([*faults, *broken], key=lambda fault: fault.row or 0)
        count += len(broken)
    return found.recognised, faults, count


def _broken_images(tsv: Path, image_root: Path) -> list[Fault]:
    with tempfile.TemporaryDirectory(prefix="vlmake-") as folder:
        samples = Path(folder) / "samples.parquet"
        decode(tsv, hash_file(tsv)._asdict(), image_root, samples, Path(folder) / "images.arrow")
        errors = pq.read_table(samples, columns=["image_error"]).column(0).to_pylist()
    return [Fault(row, "image", error) for row, error in enumerate(errors, 1) if error]
