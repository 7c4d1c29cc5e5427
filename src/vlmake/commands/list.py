"""``vlmake list``: what is registered."""

import json
from pathlib import Path
from typing import Any

import click

from vlmake.registry import DatasetEntry, ModelEntry, load_registry, registry_folders
from vlmake.run_config import config_files, load_config


@click.command()
@click.argument("kind", type=click.Choice(["models", "datasets"]))
@click.option("--json", "as_json", is_flag=True, help="Print every key of every entry as JSON.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(kind: str, as_json: bool, registry: tuple[Path, ...]) -> None:
    """List the registered models or datasets."""
    folders = [*load_config({}, config_files()).registry, *map(str, registry)]
    known = load_registry(registry_folders(folders))
    entries = known.models if kind == "models" else known.datasets
    if as_json:
        listed = [{"name": name, **entry.model_dump(mode="json")} for name, entry in entries.items()]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=1))
    else:
        _print_table(kind, {name: _row(entry) for name, entry in entries.items()})


def _row(entry: Any) -> tuple[str, ...]:
    if isinstance(entry, DatasetEntry):
        return entry.task, entry.metric, str(entry.rows or ""), ", ".join(entry.aliases), entry.description
    assert isinstance(entry, ModelEntry)
    return entry.backend, entry.path or entry.hub or "", str(entry.gpus), ", ".join(entry.aliases), entry.description


def _print_table(kind: str, rows: dict[str, tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = {
        "datasets": ("task", "metric", "rows", "aliases", "description"),
        "models": ("backend", "checkpoint", "gpus", "aliases", "description"),
    }
    table = Table("name", *heads[kind], box=None, pad_edge=False)
    for name, row in rows.items():
        table.add_row(name, *row)
    console = Console()
    console.width = console.width if console.is_terminal else 200  # a pipe has no width to fold to
    console.print(table)
