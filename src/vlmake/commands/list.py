"""``vlmake list``: what is registered."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click

from vlmake.endpoints.address import shown
from vlmake.environments.families import families as published_families
from vlmake.environments.locks import find_lock, shipped_locks
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.metrics.registry import metric_entry
from vlmake.models import model_spec
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.judge_entries import Judge, JudgeEndpointEntry, JudgeServerEntry
from vlmake.registry.layers import read_layers
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.model_entries import CheckpointEntry, EndpointEntry, ModelEntry, PluginEntry, TransformersEntry
from vlmake.registry.own_benchmarks import look_at_all
from vlmake.registry.readiness import readiness
from vlmake.runs.run_config import config_files, load_config

Listed = TypeVar("Listed")

_HEADS = {
    "datasets": ("name", "ends in", "rows", "images", "judge", "task", "metric", "aliases", "notes"),
    "models": ("name", "checkpoint", "class", "gpus", "verified", "environment", "aliases"),
    "judges": ("name", "model", "server", "key in", "price", "aliases", "notes"),
    "environments": ("name", "transformers", "environment", "notes"),
}

Listable = ModelEntry | DatasetEntry | Judge

_OWN = "LMUData"  # stands for a registry file where TSVs without an entry are listed
_READ_AT_ONCE = 64 << 20  # bytes; larger TSVs are read by a run, and remembered from then on


@click.command()
@click.argument("kind", type=click.Choice(["models", "datasets", "judges", "environments"]))
@click.option("--family", help="Only the entries of this registry file (internvl, say) or group.")
@click.option("--json", "as_json", is_flag=True, help="Print every key of every entry as JSON.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(kind: str, family: str | None, as_json: bool, registry: tuple[Path, ...]) -> None:
    """List the registered models, datasets or judges, by the registry file that introduces them.

    Or the environments that a model's `run_in` may name, and which of them published families of models need.
    """
    if kind == "environments":
        _list_environments(family, as_json=as_json)
        return
    config = load_config({}, config_files())
    folders = registry_folders([*config.registry, *map(str, registry)])
    known = load_registry(folders)
    notes: dict[str, str] = {}
    families = _families(folders, kind)
    if kind == "datasets":
        registered = set(known.datasets)
        known, notes = look_at_all(known, config, _READ_AT_ONCE)
        if own := sorted({*known.datasets, *notes} - registered):
            families[_OWN] = own
    of_kind: dict[str, Mapping[str, Listable]] = {"models": known.models, "datasets": known.datasets}
    entries = (of_kind | {"judges": known.judges})[kind]
    families = _asked(families, family, f"registry file of {kind}")
    if as_json:
        listed = [
            {"name": name, "family": group, **(_keys(entries[name]) if name in entries else {})}
            | ({"fault": notes[name]} if name in notes else {})
            for group, names in families.items()
            for name in names
        ]
        _print_json(listed)
    else:
        blank = ("",) * (len(_HEADS[kind]) - 2)
        rows = {
            group: [(name, *blank, notes[name]) if name in notes else _row(name, entries[name]) for name in names]
            for group, names in families.items()
        }
        _print_table(_HEADS[kind], rows)


def _list_environments(group: str | None, *, as_json: bool) -> None:
    """Print the environments that come with vlmake, then the families of models that were published for older ones."""
    shipped = {name: find_lock(name).versions.get("transformers", "") for name in shipped_locks()}
    groups = {
        "environments": [(name, version, name, "") for name, version in shipped.items()],
        "families": [
            (name, family.transformers, family.environment or "", f"none: {family.reason}" if family.reason else "")
            for name, family in published_families().items()
        ],
    }
    asked = _asked(groups, group, "group of environments")
    if as_json:
        heads = _HEADS["environments"]
        _print_json([{"family": title} | dict(zip(heads, row, strict=True)) for title in asked for row in asked[title]])
    else:
        _print_table(_HEADS["environments"], asked)


def _asked(groups: Mapping[str, list[Listed]], name: str | None, what: str) -> dict[str, list[Listed]]:
    """Return the group of this name alone, all without a name; raise VlmakeError where there is none."""
    if name is None:
        return dict(groups)
    if name not in groups:
        raise VlmakeError(f"no {what} '{name}'{did_you_mean(name, groups)} (there are: {', '.join(groups)})")
    return {name: groups[name]}


def _print_json(listed: Sequence[Mapping[str, object]]) -> None:
    click.echo(json.dumps(listed, ensure_ascii=False, indent=1))


def _families(folders: Iterable[Path], kind: str) -> dict[str, list[str]]:
    """Return the entries' names by the name of the first registry file that has them."""
    file_of: dict[str, str] = {}
    for folder in folders:
        for name, layer in read_layers(folder.resolve(), kind).items():
            file_of.setdefault(name, Path(layer.own.where.removesuffix(f": {name}")).stem)
    families: dict[str, list[str]] = {}
    for name, file in file_of.items():
        families.setdefault(file, []).append(name)
    return families


def _keys(entry: Listable) -> dict[str, object]:
    """Return an entry's keys; of a benchmark also what a run of it ends in, and why that may be no score."""
    keys = entry.model_dump(mode="json")
    if isinstance(entry, DatasetEntry):
        ready = readiness(entry)
        keys |= {"ends_in": ready.result, "reason": ready.reason}
    return keys


def _row(name: str, entry: Listable) -> tuple[str, ...]:
    if isinstance(entry, DatasetEntry):
        return _dataset_row(name, entry)
    if isinstance(entry, JudgeEndpointEntry | JudgeServerEntry):
        return _judge_row(name, entry)
    source = _source(entry)
    shown = {source, source.rsplit("/", 1)[-1]}
    return (
        name,
        source,
        _runs_by(entry),
        str(entry.gpus),
        entry.verified if isinstance(entry, TransformersEntry) else "",
        ", ".join(entry.environment),
        ", ".join(alias for alias in entry.aliases if alias not in shown),
    )


def _judge_row(name: str, entry: Judge) -> tuple[str, ...]:
    """Return which model judges, where, with whose key and at what price."""
    if isinstance(entry, JudgeEndpointEntry):
        named = f"${entry.served_model_variable}" if entry.served_model_variable else "the first that is listed"
        model, server = entry.served_model or named, shown(entry.api_base) or "$OPENAI_API_BASE, else OpenAI"
    else:
        model, server = _source(entry), "started by a job"
    price = f"{entry.price.input:g} / {entry.price.output:g}" if entry.price else ""
    return (name, model, server, entry.api_key or "", price, ", ".join(entry.aliases), entry.description)


def _source(entry: ModelEntry) -> str:
    """Return where a model is: its folder or repository, or what its server calls it."""
    if isinstance(entry, CheckpointEntry):
        return entry.path or entry.repository or ""
    if isinstance(entry, PluginEntry):
        return entry.model
    if isinstance(entry, EndpointEntry):
        return entry.served_model
    return model_spec.declared_identity(entry)


def _runs_by(entry: ModelEntry) -> str:
    if isinstance(entry, TransformersEntry):
        return entry.architecture or ("its own code" if entry.trust_remote_code else "")
    return entry.backend


def _judge(entry: DatasetEntry) -> str:
    """Return the judge that VLMEvalKit takes, and whether there is no score without one."""
    needed = entry.metric is not None and metric_entry(entry.metric).grader
    return " ".join(filter(None, [entry.judge, "(needed)" if needed else ""]))


def _dataset_row(name: str, entry: DatasetEntry) -> tuple[str, ...]:
    """Return what a run of the benchmark ends in, what is known of it, and why it may be no score."""
    ready = readiness(entry)
    assumed = "prompt assumed" if entry.prompt_source == "assumed" and ready.result != "nothing" else ""
    made_of = f"made of {', '.join(entry.parts)}" if entry.parts else ""
    notes = [note for note in (entry.description, made_of, ready.reason, assumed) if note]
    return (
        name,
        ready.result,
        str(entry.rows or ""),
        entry.images or "",
        _judge(entry),
        entry.task,
        entry.dataset or entry.metric or "",
        ", ".join(entry.aliases),
        "; ".join(notes),
    )


def _print_table(heads: Sequence[str], groups: Mapping[str, Sequence[tuple[str, ...]]]) -> None:
    blank = ("",) * (len(heads) - 1)
    rows = [heads]
    for group, entries in groups.items():
        rows.append((f"{group} ({len(entries)})", *blank))
        rows += [(f"  {name}", *cells) for name, *cells in entries]
    if sys.stdout.isatty():
        _print_folded(rows)
    else:  # one line an entry, for grep
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_folded(rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal: names whole, other cells on several lines where they must be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heads, *body = rows
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, no_wrap=head == "name", overflow="fold")
    for row in body:
        table.add_row(*map(Text, row), style=None if row[0].startswith(" ") else "bold")
    Console().print(table)
