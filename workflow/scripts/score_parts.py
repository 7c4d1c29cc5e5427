"""Score stage of a benchmark that is made of others: their scores in, one table and detail out."""

import json
from pathlib import Path
from typing import Any

import click

from vlmake import __version__
from vlmake.errors import VlmakeError
from vlmake.runs.program import run_program
from vlmake.scoring.score_files import rows_csv, write_json
from vlmake.scoring.score_parts import stack_scores
from vlmake.store import write_text

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("parts", type=FILE, nargs=-1, required=True)
@click.option("--dataset", required=True, help="The dataset, with its row limit if any.")
@click.option("--protocol", required=True, help="Whose table is the table.")
@click.option("--table", required=True, type=FILE, help="Written: the protocol's score table (CSV).")
@click.option("--detail", required=True, type=FILE, help="Written: every protocol's numbers (JSON).")
def main(parts: tuple[Path, ...], dataset: str, protocol: str, table: Path, detail: Path) -> None:
    """Stack the scores of a benchmark's parts."""
    scores = [_read(part) for part in parts]
    stacked = stack_scores(dataset, protocol, scores)
    provenance = {"parts": [score.get("provenance") for score in scores], "vlmake": __version__}
    shown = stacked["protocols"][protocol]
    write_text(table, rows_csv(shown["columns"], shown["rows"]))
    write_json(stacked | {"provenance": provenance}, detail)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VlmakeError(f"{file} cannot be read ({error}); delete it and run the same command again") from None
    if not isinstance(content, dict) or "protocols" not in content:
        raise VlmakeError(f"{file} is no score; delete it and run the same command again")
    return content


if __name__ == "__main__":
    run_program("score_parts", main)
