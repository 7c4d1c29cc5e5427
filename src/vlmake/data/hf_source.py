"""``source: hf:REPO[:CONFIG][:SPLIT]``: a published table of parquet files becomes the TSV that all stages start from.

The TSV stands in the data folder like a downloaded one, with a note beside it that says what it was made from: as long
as the entry asks for the same, the TSV is used as it is, and the commit that it was made from stays pinned.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vlmake.data.download import hash_file, source_record
from vlmake.data.hubs import fetch_tables
from vlmake.errors import VlmakeError, counted, did_you_mean
from vlmake.locks import hold
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.hf_names import HubSource, note_file, parquet_files, parse_source, source_spec
from vlmake.store import canonical_json, write_text

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?:-[0-9a-f]+)?\.parquet")
_CONVERTED = re.compile(r"(?P<number>[0-9]{4,5})\.parquet")
_FLAT = ("", "data")  # folders whose files are of no config by name
_DEFAULT = "default"


class Split(NamedTuple):
    """One split of one config, and its files in order."""

    config: str
    name: str
    files: tuple[str, ...]


def source_record_from_hub(dataset: str, tsv: Path, entry: DatasetEntry) -> dict[str, Any]:
    """Make sure that the TSV made from the entry's ``source`` is there; return what ``source.json`` holds.

    Args:
        dataset: Its name.
        tsv: Where the TSV is or shall be.
        entry: Its entry, with a ``source``.

    Raises:
        VlmakeError: A source that cannot be had or read, faults in it, or a TSV that was changed since it was made.
    """
    wanted = source_spec(str(entry.source), entry.columns, entry.task, entry.answers, entry.first_option)
    if (present := _present(dataset, tsv, entry, wanted)) is not None:  # before the lock: the folder may be read-only
        return present
    tsv.parent.mkdir(parents=True, exist_ok=True)
    with hold(Path(f"{tsv}.lock"), f"vlmake: waiting for another process that makes {tsv}"):
        return _present(dataset, tsv, entry, wanted) or _make(dataset, tsv, entry, wanted)


def _present(dataset: str, tsv: Path, entry: DatasetEntry, wanted: str) -> dict[str, Any] | None:
    """Return the record of a TSV that is there and was made from what is wanted; None if it is to be made."""
    if not tsv.exists():
        return None
    note = _read_note(tsv)
    record = source_record(dataset, tsv, (), entry.md5)
    if note is None:
        return record | {"origin": "existing file"}
    if note.get("sha256") != record["sha256"]:
        raise VlmakeError(
            f"{tsv} was changed since it was made from {note.get('origin')}; it is left as it is: move it away to have"
            " it made again, or give it as `path`"
        )
    return record | {"origin": str(note.get("origin"))} if note.get("wanted") == wanted else None


def splits(files: Sequence[str]) -> list[Split]:
    """Return the splits that parquet files make; VlmakeError for one of which files are missing.

    They are called ``CONFIG/SPLIT-00000-of-00003.parquet``, ``data/SPLIT-….parquet``, ``SPLIT.parquet``, or
    ``CONFIG/SPLIT/0000.parquet``, as the hub converts them.
    """
    found: dict[tuple[str, str], dict[int, str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for file in sorted(files):
        folder, _, name = file.rpartition("/")
        if shard := _SHARD.fullmatch(name):
            key, number = (folder, shard["stem"]), int(shard["number"])
            counts[key] = int(shard["count"])
        elif (part := _CONVERTED.fullmatch(name)) and folder:
            above, _, split = folder.rpartition("/")
            key, number = (above, split), int(part["number"])
        else:
            key, number = (folder, name.removesuffix(".parquet")), 0
        found.setdefault(key, {})[number] = file
    for (folder, name), count in counts.items():
        if missing := sorted(set(range(count)) - set(found[folder, name])):
            where = "/".join(filter(None, (folder, name)))
            raise VlmakeError(f"{where}: file {missing[0] + 1} of {count} is missing; download the dataset again")
    listed = []
    for (folder, name), numbered in found.items():
        config = _DEFAULT if folder in _FLAT else folder.removeprefix("data/")
        listed.append(Split(config, name, tuple(numbered[number] for number in sorted(numbered))))
    return listed


def choose(source: HubSource, files: Sequence[str]) -> Split:
    """Return the split that a source names among parquet files; VlmakeError where there is none or more than one."""
    every = splits(files)
    if not every:
        raise VlmakeError(f"{source.name} holds no parquet files")
    first, *rest = source.parts or ("",)
    if rest:
        fitting = [split for split in every if (split.config, split.name) == (first, rest[0])]
    elif first:
        fitting = [split for split in every if split.config == first] or [s for s in every if s.name == first]
    else:
        fitting = every
    if len(fitting) > 1:
        fitting = [split for split in fitting if split.config == _DEFAULT] or fitting
    if len(fitting) == 1:
        return fitting[0]
    listed = sorted(f"{split.config}:{split.name}" for split in every)
    asked = ":".join(source.parts)
    known = {*listed, *(split.config for split in every), *(split.name for split in every)}
    hint = did_you_mean(asked, sorted(known)) if asked and not fitting else ""
    problem = "name one of its splits" if fitting else f"there is no '{asked}'{hint}"
    shown = ", ".join(listed[:20]) + (", …" if len(listed) > 20 else "")
    raise VlmakeError(f"hf:{source.name}: {problem} (hf:{source.name}:CONFIG:SPLIT is one of: {shown})")


def _make(dataset: str, tsv: Path, entry: DatasetEntry, wanted: str) -> dict[str, Any]:
    """Make the TSV and the note beside it."""
    from vlmake.new_dataset.making import make_tsv
    from vlmake.new_dataset.tables import parquet_table

    source = parse_source(str(entry.source))
    files, origin = _files(source)
    name = f"{dataset} ({origin})"
    table = parquet_table(files, name)
    made = make_tsv(
        table,
        tsv,
        columns=entry.columns,
        first_option=entry.first_option,
        task=entry.task,
        answers=entry.answers,
        tolerant=True,
    )
    note = {"wanted": wanted, "origin": origin, "sha256": made.digests.sha256}
    write_text(note_file(tsv), canonical_json(note) + "\n")
    for kind in ("no image", "no options"):
        if rows := [fault.row for fault in made.lacking if fault.kind == kind]:
            print(
                f"vlmake download: {dataset}: {kind} in {counted(len(rows), 'row')}, the first is row {rows[0]}",
                flush=True,
            )
    return {"dataset": dataset, "file": tsv.name, **hash_file(tsv)._asdict(), "origin": origin}


def _files(source: HubSource) -> tuple[list[Path], str]:
    """Return a source's files on this machine, and where they are from."""
    if source.is_folder:
        folder = Path(source.name).expanduser()
        if not folder.is_dir():
            raise VlmakeError(f"{folder} is no folder of parquet files")
        split = choose(source, [file.relative_to(folder).as_posix() for file in parquet_files(folder)])
        return [folder / file for file in split.files], f"hf:{folder}"
    fetched = fetch_tables(source.name, source.revision, lambda files: choose(source, files).files)
    return [fetched.folder / file for file in fetched.files], f"hf:{source.name}@{fetched.commit}"


def _read_note(tsv: Path) -> Mapping[str, Any] | None:
    try:
        note = json.loads(note_file(tsv).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        note = None
    if not isinstance(note, dict):
        raise VlmakeError(f"{note_file(tsv)} is damaged; delete it and {tsv.name} to have both made again")
    return note
