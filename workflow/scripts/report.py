"""Every score of the work directory → one page that opens from disk."""

from pathlib import Path

import click

from vlmake.report.page import write_page
from vlmake.runs.program import run_program

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--data-dir", type=FILE, required=True, help="Decoded benchmarks, for questions and pictures.")
@click.option("--page", type=FILE, required=True, help="The page.")
def report(data_dir: Path, page: Path) -> None:
    """Every score of the work directory → one page that opens from disk."""
    write_page(page, Path(), data_dir)


if __name__ == "__main__":
    run_program("report", report)
