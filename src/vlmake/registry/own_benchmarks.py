"""Benchmarks without a registry entry (a TSV in the data folder), or whose entry says no task: told from their TSV.

What was recognised becomes registry entries in a folder of the work directory, so that every job sees the same, so
that anybody can read it or copy it to a ``config/`` of his own, and so that results stay what they are when the TSV is
gone. Only benchmarks that are asked for are looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vlmake import paths
from vlmake.errors import VlmakeError, counted
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.layers import mapping, read_yaml
from vlmake.registry.loading import Registry, load_registry, registry_folders, validate
from vlmake.registry.recognition import Recognised, is_remembered, recognise
from vlmake.runs.run_config import RunConfig
from vlmake.store import write_text

_HERE = Path()
_HEAD = """\
# Written by vlmake: recognised by its TSV. To change what is said here, copy the entry to a file in config/datasets/ of
# your own folder and edit it there.
"""


@dataclass(frozen=True)
class Found:
    """A registry with what was recognised in it.

    Attributes:
        registry: Every benchmark that was asked for and could be recognised has a full entry.
        entries: The keys that recognition adds to the registry's entries, by dataset.
        lines: One line for people per benchmark that was asked for and recognised.
    """

    registry: Registry
    entries: Mapping[str, Mapping[str, Any]]
    lines: tuple[str, ...]


def look_up(registry: Registry, asked: Iterable[str], lmu_data: Path, memory: Path) -> Found:
    """Recognise the datasets in ``asked`` that need it.

    Args:
        registry: What the registry folders say.
        asked: Dataset names, with or without a limit. Unknown ones are left to ``registry`` to refuse.
        lmu_data: Where TSVs without an entry lie.
        memory: The registry folder in which what was recognised before stands (``paths.recognised``).

    Raises VlmakeError for a TSV that is wanted and has a fault.
    """
    entries = {name: keys for name, keys in _read(memory).items() if _needs_recognition(registry, name)}
    lines: dict[str, str] = {}
    for name in _with_parts(registry, asked):
        if not _needs_recognition(registry, name):
            continue
        tsv = _tsv(registry, name, lmu_data)
        if tsv.is_file():
            entry = registry.datasets.get(name)
            found = recognise(tsv, own_question=entry is not None and entry.question is not None)
            entries[name] = _keys(found, tsv, entry)
            lines[name] = describe(name, found, entries[name].get("metric"))
        elif name in entries:
            lines[name] = f"{name}: {tsv} is gone; what was recognised before holds"
        elif name in registry.datasets:
            raise VlmakeError(f"dataset '{name}': {tsv} is not there, and its entry says neither `task` nor `metric`")
    completed = {
        name: _completed(registry.datasets.get(name), keys, _file(memory, name)) for name, keys in entries.items()
    }
    whole = replace(
        registry,
        datasets={**registry.datasets, **completed},
        unrecognised=registry.unrecognised - set(completed),
        unregistered=tuple(in_folder(registry, lmu_data)),
    )
    return Found(whole, entries, tuple(lines.values()))


def known_registry(
    config: RunConfig, folders: Iterable[Path] = (), asked: Iterable[str] = (), work_dir: Path = _HERE
) -> Registry:
    """Return what a command knows: the registry folders, and the benchmarks that are recognised by their TSV.

    Args:
        config: Its ``registry`` folders are read as well.
        folders: Further ones, which come last.
        asked: Datasets that the command is about; of other TSVs without an entry only the names are known.
        work_dir: Where it is remembered what was recognised before.
    """
    registry = load_registry(registry_folders([*config.registry, *map(str, folders)]))
    return with_own(registry, asked, config, work_dir)


def with_own(registry: Registry, asked: Iterable[str], config: RunConfig, work_dir: Path = _HERE) -> Registry:
    """Return the registry with those benchmarks that are recognised by their TSV, of all that are asked for."""
    memory = work_dir / paths.recognised(config.data_dir)
    return look_up(registry, asked, paths.lmu_data(config.lmu_data), memory).registry


def look_at_all(registry: Registry, config: RunConfig, largest: int | None = None) -> tuple[Registry, dict[str, str]]:
    """Return the registry with every benchmark that can be recognised, and why others cannot, by name.

    TSVs of more than ``largest`` bytes are left alone unless what they are is remembered: reading them takes a while.
    """
    lmu_data = paths.lmu_data(config.lmu_data)
    good, notes = [], {}
    for name in sorted({*registry.unrecognised, *in_folder(registry, lmu_data)}):
        tsv = _tsv(registry, name, lmu_data)
        if largest is not None and tsv.is_file() and tsv.stat().st_size > largest and not is_remembered(tsv):
            notes[name] = "not looked at yet; a run with it does"
            continue
        try:
            with_own(registry, [name], config)
            good.append(name)
        except VlmakeError as error:
            notes[name] = str(error)
    return with_own(registry, good, config), notes


def write(entries: Mapping[str, Mapping[str, Any]], memory: Path) -> None:
    """Write what was recognised to its registry folder, a file each, and remove what holds no more."""
    for name, keys in entries.items():
        text = _HEAD + yaml.safe_dump({"datasets": {name: dict(keys)}}, allow_unicode=True, sort_keys=False, width=110)
        if _text(file := _file(memory, name)) != text:
            write_text(file, text)
    for name in _read(memory):
        if name not in entries:
            _file(memory, name).unlink(missing_ok=True)


def in_folder(registry: Registry, lmu_data: Path) -> Iterator[str]:
    """Yield the names of the TSVs in a data folder that no registry entry stands for, sorted."""
    for file in sorted(lmu_data.glob("*.tsv")):
        if is_own(registry, file.stem) and file.is_file():
            yield file.stem


def is_own(registry: Registry, name: str) -> bool:
    """Tell whether a TSV of this name would be a benchmark without an entry."""
    registered = name in registry.datasets or f"dataset:{name}" in registry.aliases
    return not registered and bool(re.fullmatch(paths.NAME, name)) and name not in paths.RESERVED_NAMES


def named_datasets(words: Iterable[str], data_dir: str) -> list[str]:
    """Return the datasets that a command line's target files name."""
    named = []
    for word in words:
        if (base := paths.parse_data_target(word, data_dir)) is not None:
            named.append(base)
        elif (pair := paths.parse_target(word)) is not None:
            named.append(pair[1])
    return named


def describe(name: str, found: Recognised, metric: str | None) -> str:
    """Return one line that says what a benchmark was recognised as."""
    scored = f"scored by {metric}" if metric and found.answers else "no answers, so no score"
    if found.answers and not metric:
        scored = "not scored"
    return f"{name}: recognised by its TSV: {found.says}; {counted(found.rows, 'row')}; {scored}"


def _needs_recognition(registry: Registry, name: str) -> bool:
    return name in registry.unrecognised or is_own(registry, name)


def _tsv(registry: Registry, name: str, lmu_data: Path) -> Path:
    entry = registry.datasets.get(name)
    return Path(entry.path) if entry is not None and entry.path else lmu_data / f"{name}.tsv"


def _with_parts(registry: Registry, asked: Iterable[str]) -> Iterator[str]:
    """Yield the plain names of datasets and of the parts that they are made of, each once."""
    waiting = list(asked)
    seen: set[str] = set()
    while waiting:
        base = waiting.pop(0).partition("@")[0]
        base = registry.aliases.get(f"dataset:{base}", base)
        if base not in seen:
            seen.add(base)
            yield base
            waiting += registry.datasets[base].parts if base in registry.datasets else ()


def _keys(found: Recognised, tsv: Path, entry: DatasetEntry | None) -> dict[str, Any]:
    """Return what recognition adds to an entry: keys that it does not say itself."""
    keys: dict[str, Any] = {"description": f"recognised by its TSV: {found.says}"}
    keys |= {"task": found.task, "metric": found.metric, "rows": found.rows, "images": found.images}
    if found.metric == "choice_circular":
        keys["groups"] = "rotation"
    if not found.answers:
        keys["answers"] = False
    if entry is None:
        return {"path": str(tsv.resolve()), **keys}
    said = entry.model_fields_set - {"task", "metric"}
    if entry.scoring == "none":
        said |= {"metric"}
    return {key: value for key, value in keys.items() if key not in said}


def _completed(entry: DatasetEntry | None, keys: Mapping[str, Any], file: Path) -> DatasetEntry:
    said = {} if entry is None else entry.model_dump(exclude_unset=True)
    return validate(DatasetEntry, {**said, **keys}, str(file))


def _file(memory: Path, name: str) -> Path:
    return memory / "datasets" / f"{name}.yaml"


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _read(memory: Path) -> dict[str, dict[str, Any]]:
    """Return what was recognised before; nothing where there is no such folder."""
    entries: dict[str, dict[str, Any]] = {}
    for file in sorted((memory / "datasets").glob("*.yaml")):
        listed = mapping(mapping(read_yaml(file), str(file)).get("datasets"), str(file))
        entries |= {name: mapping(keys, str(file)) for name, keys in listed.items() if name == file.stem}
    return entries
