"""``vlmake import``: let finished predictions stand as a model."""

from pathlib import Path
from typing import get_args

import click

from vlmake.importing import Format
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.own_benchmarks import with_own
from vlmake.runs.run_config import config_files, load_config


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--as", "name", required=True, metavar="NAME", help="What the model shall be called.")
@click.option(
    "--dataset", "--data", "dataset", help="Only this dataset; of a single file, what it is whatever its name."
)
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="auto", show_default=True)
@click.option("--index", "field", help="Field of sample logs that holds the benchmark's index, such as doc.index.")
@click.option("--work-dir", type=click.Path(path_type=Path), default=Path(), help="Where imports/ shall lie.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
@click.option("--replace", is_flag=True, help="Replace an earlier import of that name.")
def command(
    source: Path,
    name: str,
    dataset: str | None,
    form: Format,
    field: str | None,
    work_dir: Path,
    registry: tuple[Path, ...],
    replace: bool,
) -> None:
    """Let the finished predictions in DIR (or one file) stand as a model: `vlmake run` then scores them in seconds.

    Read are results of VLMEvalKit (xlsx, tsv, json), sample logs of lm-eval and lmms-eval, and vlmake's own Parquet;
    pickles are never opened. What a spreadsheet lost of the answers is counted, said and kept beside them.
    """
    from vlmake.importing import entry, imported
    from vlmake.importing.finding import find
    from vlmake.importing.importer import asked_for, import_files, import_record, known_benchmark, report_lines
    from vlmake.locks import hold
    from vlmake.paths import parse_dataset

    config = load_config({}, config_files())
    registered = load_registry(registry_folders([*config.registry, *map(str, registry)]))
    known = with_own(registered, [dataset] if dataset else [], config, work_dir)
    folder, file = imported.folder_of(work_dir, name), entry.entry_file(Path())
    entry.refuse_name(name, known, file, folder, replace)
    asked = parse_dataset(known.resolve_dataset(dataset)) if dataset else None
    wanted, limit = (asked.base, asked.limit) if asked else (None, None)
    findings = find(source, known, wanted, form, limit)
    known = with_own(registered, findings.files, config, work_dir)
    benchmarks = {one: known_benchmark(one, known.datasets[one], work_dir / config.data_dir) for one in findings.files}
    done, unmatched = import_files(findings, benchmarks, field)
    left_out = [*findings.left_out, *unmatched]
    tables = {one: made.rows for one, made in done.items()}
    waiting = "another import is being written; waiting for it"
    with hold(entry.lock_of(file), waiting), hold(imported.lock_of(work_dir), waiting):
        entry.refuse_name(name, known, file, folder, replace)  # who came first may have taken it
        imported.write_import(folder, tables, import_record(name, source, done, left_out))
        entry.write_entry(name, folder, f"Imported from {source.resolve().name}", file)
    for one, made in done.items():
        for line in report_lines(one, made.report):
            click.echo(line)
    for line in left_out:
        click.echo(f"left out: {line}", err=True)
    where = "" if work_dir == Path() else f" --work-dir {work_dir}"
    click.echo(f"Written: {folder} and the model '{name}' in {file}")
    datasets = " ".join(asked_for(one, made.report) for one, made in done.items())
    click.echo(f"Score them: vlmake run --model {name} --data {datasets}{where}")
