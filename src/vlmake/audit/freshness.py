"""Whether the results are still those that a sheet was drawn from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmake.audit.draw import readings_record
from vlmake.audit.population import read_population
from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.store import text_digest


def changed_inputs(record: Mapping[str, Any], work_dir: Path) -> tuple[list[str], list[str]]:
    """Return which of the drawn results' files have changed since, and which are not there."""
    there = {file: digest for file, digest in record["inputs"].items() if (work_dir / file).is_file()}
    changed = [file for file, digest in there.items() if file_digest(work_dir / file) != digest]
    return changed, [file for file in record["inputs"] if file not in there]


def with_current_readings(record: Mapping[str, Any], work_dir: Path, data_dir: str) -> dict[str, Any]:
    """Return the record with what the present results' protocols read: labels hold as long as the predictions do.

    Strata and weights stay those of the drawing, so the estimates stay unbiased.

    Raises VlmakeError when a labelled prediction is another text now, or gone.
    """
    pairs = dict.fromkeys((row["model"], row["dataset"], row["task"]) for row in record["rows"])
    population = read_population(list(pairs), work_dir, data_dir)
    present = {(row.model, row.dataset, row.index): row for row in population.rows}
    rows = []
    for drawn in record["rows"]:
        row = present.get((drawn["model"], drawn["dataset"], drawn["index"]))
        if row is None or text_digest(row.prediction) != drawn["prediction_sha256"]:
            raise VlmakeError(
                f"index '{drawn['index']}' of {drawn['dataset']} by {drawn['model']} has another prediction than when "
                "the sheet was drawn: its label says nothing of it; draw a new sheet, or leave out --current"
            )
        rows.append(dict(drawn) | {"readings": readings_record(row)})
    return dict(record) | {"rows": rows}
