"""The report: every score of a work directory as one page that opens from disk."""

from pathlib import Path


def update_report(work_dir: Path, data_dir: str = "data") -> None:
    """Write the report page of ``work_dir`` where it belongs, unless it says the same already.

    Args:
        work_dir: The folder with ``results/``.
        data_dir: Where decoded benchmarks lie, relative to the work directory.
    """
    from vlmake import paths
    from vlmake.report.page import write_page

    write_page(work_dir / paths.REPORT, work_dir, work_dir / data_dir, only_if_changed=True)
