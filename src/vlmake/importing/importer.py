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
from vlmake.errors import VlmakeError, counted
from vlmake.importing.doubts import Asked, ImportedRow, count_doubts, doubt_lines, first_of, imported_rows
from vlmake.importing.finding import Findings, Found
from vlmake.importing.sample_logs import UnmatchedError, read_sample_log
from vlmake.paths import LimitedName
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.tables.predictions_io import read_records

_FIRST = 5  # how many rows a report names


@dataclass(frozen=True)
class Benchmark:
    """What is known of a benchmark's rows: what each index asks where it is decoded, else at most their number.

    ``why_unknown`` says why a decoded one could not be read.
    """

    asked: Mapping[str, Asked] | None
    rows: int | None
    why_unknown: str | None = None


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
        file = pq.ParquetFile(samples)
        names = [name for name in ("question", "answer") if name in file.schema_arrow.names]
        rows = file.read(columns=["index", *names]).to_pylist()
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        why = f"{samples} is damaged ({next(iter(str(error).splitlines()), '')}): not compared with it"
        return Benchmark(None, entry.rows, why)
    asked = {str(row["index"]): Asked(**{name: _text(row[name]) for name in names}) for row in rows}
    return Benchmark(asked, len(asked))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def import_files(
    findings: Findings, benchmarks: Mapping[str, Benchmark], index_field: str | None
) -> tuple[dict[str, ImportedDataset], list[str]]:
    """Return what was read for each dataset, and a line for each sample log whose rows cannot be matched.

    Args:
        findings: The files.
        benchmarks: What is known of each dataset among them.
        index_field: The field of sample logs that holds the benchmark's index, if the user names one.

    Raises VlmakeError for a damaged file, and where no log can be matched at all.
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
        rows = imported_rows(read_records(found.file), found.file.suffix.lower(), benchmark.asked)
    else:
        fields = (index_field,) if index_field else found.task.index
        rows = imported_rows(read_sample_log(found.file, fields, found.task.why), found.file.suffix)
    if not rows:
        raise VlmakeError(f"{found.file} holds no rows")
    report = {
        "file": found.file.name,
        "limit": found.limit,
        "sha256": file_digest(found.file),
        "rows": len(rows),
        "status": dict(sorted(Counter(row.status for row in rows).items())),
        "doubts": count_doubts(rows, _FIRST),
        **_compared(rows, benchmark, found),
    }
    return ImportedDataset(rows, report)


def _compared(rows: Sequence[ImportedRow], benchmark: Benchmark, found: Found) -> dict[str, Any]:
    """Return which rows the benchmark has beyond the file, and the file beyond the benchmark."""
    if benchmark.asked is None:
        said = {"not_compared": benchmark.why_unknown} if benchmark.why_unknown else {}
        return {"expected_rows": _up_to(benchmark.rows, found.limit), **said}
    here, there = [row.index for row in rows], list(benchmark.asked)[: found.limit]
    missing, more = _beyond(there, here), _beyond(here, there)
    return {
        "expected_rows": len(there),
        "missing": {"rows": len(missing), "first": missing[:_FIRST]},
        "more": {"rows": len(more), "first": more[:_FIRST]},
    }


def _up_to(rows: int | None, limit: int | None) -> int | None:
    return rows if rows is None or limit is None else min(rows, limit)


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
    lines = [f"{dataset}: {counted(rows, 'prediction')} from {report['file']} ({statuses})"]
    lines += [f"  {line}" for line in doubt_lines(report["doubts"])]
    if why := report.get("not_compared"):
        lines.append(f"  {why}")
    if rows and report.get("more", {}).get("rows") == rows:
        lines.append(
            f"  none of the {rows:,} indices is one of {dataset} as it is decoded here ({first_of(report['more'])}; the"
            f" benchmark's {first_of(report['missing'])}): these are predictions of other rows, or the decoded data are"
            " older than the file, and then a run decodes them again"
        )
        return lines
    for kind, said in (
        ("missing", "of the benchmark without a prediction; asked for, model_error"),
        ("more", "that the benchmark does not have, unused"),
    ):
        if report.get(kind, {}).get("rows"):
            lines.append(f"  {counted(report[kind]['rows'], 'row')} {said} ({first_of(report[kind])})")
    if "missing" not in report and expected is not None and expected != rows:
        lines.append(f"  the benchmark has {counted(expected, 'row')}, the file {rows:,}")
    return lines


def asked_for(dataset: str, report: Mapping[str, Any]) -> str:
    """Return what a run is asked for to score an import: the dataset, with the row limit of a file that has one."""
    return str(LimitedName(dataset, report["limit"]))
