"""Every score of the work directory → one table."""

from pathlib import Path

import click

from vlmake.runs.program import run_program
from vlmake.scoring.summary import write_summary


@click.command()
@click.option("--summary", "target", type=click.Path(path_type=Path), required=True, help="The table.")
def summary(target: Path) -> None:
    """Every score of the work directory → one table."""
    for line in write_summary(target, Path()):
        click.echo(f"vlmake summary: left out: {line}", err=True)


if __name__ == "__main__":
    run_program("summary", summary)
