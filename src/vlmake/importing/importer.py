"""From the files that were found to the rows and the report of an import."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlmake import __version__, paths
from vlmake.digests import file_digest
from vlmake.entries import DatasetEntry
from vlmake.errors import VlmakeError
from vlmake.importing.doubts import ImportedRow, count_doubts, imported_rows
from vlmake.importing.finding import Findings, Found
from vlmake.importing.sample_logs import UnmatchedError, read_sample_log
from vlmake.predictions_io import read_records

_FIRST = 5  # how many rows a report names


@dataclass(frozen=True)
class Benchmark:
    """What is known of a benchmark's rows: their indices where it is decoded, else at most their number."""

    indices: Sequence[str] | None
    rows: int | None


@dataclass(frozen=True)
class ImportedDataset:
    """One dataset's predictions and what is to be said about them."""

    rows: list[ImportedRow]
    report: dict[str, Any]


def known_benchmark(dataset: str, entry: DatasetEntry, data_dir: Path) -> Benchmark:
    """Return what is known of a benchmark without making anything: ``data_dir`` is where decoded ones lie."""
    samples = Path(paths.samples(dataset, str(data_dir)))
    if not samples.is_file():
        return Benchmark(None, entry.rows)
    try:
        listed = [str(index) for index in pq.read_table(samples, columns=["index"]).column("index").to_pylist()]
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{samples} is damaged ({error}); delete it, and a run decodes it again") from None
    return Benchmark(listed, len(listed))


def import_files(
    findings: Findings, benchmarks: Mapping[str, Benchmark], index_field: str | None
) -> tuple[dict[str, ImportedDataset], list[str]]:
    """Return what was read for each dataset, and a line for each sample log whose rows cannot be matched.

    Args:
        findings: The files.
        benchmarks: What is known of each dataset among them.
        index_field: The field of sample logs that holds the benchmark's index, if the user names one.

    Raises VlmakeError for a damaged file, for predictions of other rows, and where no log can be matched at all.
    """
    done: dict[str, ImportedDataset] = {}
    unmatched: list[UnmatchedError] = []
    for dataset, found in sorted(findings.files.items()):
        try:
            done[dataset] = _import_file(found, benchmarks[dataset], index_field)
        except UnmatchedError as error:
            unmatched.append(error)
    if not done:
        raise unmatched[0]
    return done, [str(error) for error in unmatched]


def _import_file(found: Found, benchmark: Benchmark, index_field: str | None) -> ImportedDataset:
    if found.task is None:
        rows = imported_rows(read_records(found.file), found.file.suffix.lower())
    else:
        fields = (index_field,) if index_field else found.task.index
        rows = imported_rows(read_sample_log(found.file, fields, found.task.why), found.file.suffix)
    if not rows:
        raise VlmakeError(f"{found.file} holds no rows")
    report = {
        "file": found.file.name,
        "sha256": file_digest(found.file),
        "rows": len(rows),
        "status": dict(sorted(Counter(row.status for row in rows).items())),
        "doubts": count_doubts(rows, _FIRST),
        **_compared(rows, benchmark, found),
    }
    return ImportedDataset(rows, report)


def _compared(rows: Sequence[ImportedRow], benchmark: Benchmark, found: Found) -> dict[str, Any]:
    """Return which rows the benchmark has beyond the file, and the file beyond the benchmark."""
    if benchmark.indices is None:
        return {"expected_rows": benchmark.rows}
    here, there = [row.index for row in rows], benchmark.indices[: found.limit]
    missing, more = _beyond(there, here), _beyond(here, there)
    if len(more) == len(here):
        raise VlmakeError(
            f"{found.file}: none of its {len(here)} indices is one of {found.dataset} (its first is '{here[0]}', the"
            f" benchmark's '{there[0] if there else ''}'): these are predictions of other rows"
        )
    return {
        "expected_rows": len(there),
        "missing": {"rows": len(missing), "first": missing[:_FIRST]},
        "more": {"rows": len(more), "first": more[:_FIRST]},
    }


def _beyond(these: Sequence[str], those: Sequence[str]) -> list[str]:
    known = set(those)
    return [index for index in these if index not in known]


def import_record(
    name: str, source: Path, done: Mapping[str, ImportedDataset], left_out: Sequence[str]
) -> dict[str, Any]:
    """Return the content of ``import.json``."""
    return {
        "model": name,
        "source": str(source.resolve()),
        "datasets": {dataset: imported.report for dataset, imported in done.items()},
        "left_out": list(left_out),
        "vlmake": __version__,
    }


def report_lines(dataset: str, report: Mapping[str, Any]) -> list[str]:
    """Return what is said about one dataset: a line for its file, then one for each doubt."""
    rows, expected = report["rows"], report["expected_rows"]
    statuses = ", ".join(f"{count:,} {status}" for status, count in report["status"].items())
    lines = [f"{dataset}: {rows:,} predictions from {report['file']} ({statuses})"]
    for kind, doubt in report["doubts"].items():
        lines.append(f"  {doubt['rows']:,} {kind}: {doubt['meaning']} ({_first(doubt)})")
    for kind, said in (
        ("missing", "row(s) of the benchmark have no prediction; asked for, they are model_error"),
        ("more", "row(s) are not in the benchmark, and stay unused"),
    ):
        if report.get(kind, {}).get("rows"):
            lines.append(f"  {report[kind]['rows']:,} {said} ({_first(report[kind])})")
    if "missing" not in report and expected is not None and expected != rows:
        lines.append(f"  the benchmark has {expected:,} rows, the file {rows:,}")
    return lines


def _first(found: Mapping[str, Any]) -> str:
    more = ", …" if found["rows"] > len(found["first"]) else ""
    return f"index {', '.join(found['first'])}{more}"
