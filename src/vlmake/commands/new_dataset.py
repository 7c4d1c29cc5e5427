"""``vlmake new-dataset``: a checked TSV from images with a table, or from a parquet file; and the entry to add."""

from pathlib import Path
from typing import Literal

import click

from vlmake import paths
from vlmake.errors import VlmakeError, counted
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.runs.run_config import config_files, load_config

FILE = click.Path(path_type=Path)
_FIRST_OPTIONS: dict[str, Literal[0, 1]] = {"0": 0, "1": 1}


@click.command()
@click.argument("name", required=False)
@click.option("--table", type=FILE, help="FILE.csv or FILE.jsonl: a row a question, with the names of its images.")
@click.option("--images", type=FILE, help="The folder of the image files that the table names.")
@click.option("--parquet", type=FILE, help="FILE.parquet in the layout of the Hugging Face hub, images inside.")
@click.option("--column", "columns", multiple=True, metavar="NAME=COLUMN", help="The column that is NAME; repeatable.")
@click.option(
    "--first-option", type=click.Choice([*_FIRST_OPTIONS]), help="Its number, where answers are numbers of options."
)
@click.option("--out", type=FILE, help="The TSV; NAME.tsv in the data folder if absent.")
@click.option("--check", type=FILE, help="Only list the faults of this TSV.")
@click.option("--registry", multiple=True, type=FILE, help="Another registry folder.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    table: Path | None,
    images: Path | None,
    parquet: Path | None,
    columns: tuple[str, ...],
    first_option: str | None,
    out: Path | None,
    check: Path | None,
    registry: tuple[Path, ...],
) -> None:
    """Make a benchmark's TSV and print the registry entry to add; or check a TSV.

    A table has the columns image (or images), question, answer, and for multiple choice A, B, … or options; category,
    hint and any others are kept. Yes/no answers are written as Yes and No, right options by their letter.
    """
    config = load_config({}, config_files())
    if check is not None:
        if name or table or parquet or out or first_option:
            raise VlmakeError("--check looks at a TSV that is there, and takes nothing else")
        ctx.exit(_check(check, paths.lmu_data(config.lmu_data)))
    if name is None:
        raise VlmakeError("name the benchmark: vlmake new-dataset NAME --images DIR --table FILE.csv")
    known = load_registry(registry_folders([*config.registry, *map(str, registry)]))
    usual = paths.lmu_data(config.lmu_data) / f"{name}.tsv"
    if out is None and usual.exists():
        raise VlmakeError(f"{usual} is there already; to replace it, name it with --out")
    out = out or usual
    _check_name(name, known, out)
    if any(given is not None and given.resolve() == out.resolve() for given in (table, parquet)):
        raise VlmakeError(f"--out {out}: that is the table itself; name another file")
    first = _FIRST_OPTIONS[first_option] if first_option else None
    ctx.exit(_make(name, _given(table, parquet), images, dict(map(_pair, columns)), first, out))


def _make(
    name: str,
    source: Path,
    images: Path | None,
    columns: dict[str, str],
    first_option: Literal[0, 1] | None,
    out: Path,
) -> int:
    """Make the TSV and print its entry; or print every fault, and return 1."""
    from vlmake.new_dataset.making import FaultyTableError, entry_text, make_tsv
    from vlmake.new_dataset.tables import open_table
    from vlmake.registry.own_benchmarks import describe

    table = open_table(source)
    if images is not None and not images.is_dir():
        raise VlmakeError(f"--images: {images} is no folder")
    if images is None and not table.pictures:
        raise VlmakeError(f"{source} names files of images: say with --images in which folder they are")
    try:
        made = make_tsv(table, out, columns=columns, first_option=first_option, images=images)
    except FaultyTableError as error:
        for fault in error.faults:
            click.echo(f"{source}: {fault}", err=True)
        click.echo(f"vlmake: {counted(error.count, 'fault')} in {source}; nothing was written", err=True)
        return 1
    click.echo(f"vlmake: {out} written; {describe(name, made.recognised, made.recognised.metric)}", err=True)
    click.echo("vlmake: the entry for a file in config/datasets/ of your folder:", err=True)
    click.echo(entry_text(name, out, made), nl=False)
    return 0


def _check(tsv: Path, lmu_data: Path) -> int:
    """Print every fault of a TSV, its images included; return 1 if there are any."""
    from vlmake.new_dataset.checking import faults_of
    from vlmake.registry.own_benchmarks import describe

    if not tsv.exists() and tsv.name == str(tsv) and (lmu_data / tsv).is_file():
        tsv = lmu_data / tsv
    recognised, faults, count = faults_of(tsv, paths.image_root(tsv.stem, lmu_data))
    for fault in faults:
        click.echo(f"{tsv}: {fault}", err=True)
    if count:
        click.echo(f"vlmake: {counted(count, 'fault')} in {tsv}", err=True)
        return 1
    assert recognised is not None, "a TSV without faults is recognised"
    click.echo(f"vlmake: no faults; {describe(tsv.stem, recognised, recognised.metric)}", err=True)
    return 0


def _given(table: Path | None, parquet: Path | None) -> Path:
    if (table is None) == (parquet is None):
        raise VlmakeError("give either --table FILE.csv (or .jsonl) with --images DIR, or --parquet FILE.parquet")
    if parquet is not None and parquet.suffix != ".parquet":
        raise VlmakeError(f"--parquet: {parquet} is no .parquet file")
    source = table or parquet
    assert source is not None
    return source


def _pair(word: str) -> tuple[str, str]:
    target, equals, column = word.partition("=")
    if not (target and equals and column):
        raise VlmakeError(f"--column {word}: it is NAME=COLUMN, such as question=prompt")
    return target, column


def _check_name(name: str, known: Registry, out: Path) -> None:
    """Refuse a name that cannot be one, or that means another benchmark already."""
    if paths.parse_dataset(name).limit is not None or name in paths.RESERVED_NAMES:
        raise VlmakeError(f"'{name}' cannot be a benchmark's name")
    registered = known.aliases.get(f"dataset:{name}", name)
    entry = known.datasets.get(registered)
    if entry is not None and (entry.path is None or Path(entry.path).resolve() != out.resolve()):
        raise VlmakeError(f"'{name}' is registered already and means another benchmark; choose another name")
    if out.suffix != ".tsv":
        raise VlmakeError(f"--out {out}: the benchmark is a .tsv file")
