"""How a dataset of the Hugging Face hub, or a folder that is laid out like one, is named in a registry entry."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vlmake.digests import file_digest
from vlmake.errors import VlmakeError
from vlmake.store import canonical_json, text_digest

_PREFIX = "hf:"
_REPOSITORY = r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?"
_PART = r"[^:/\\*?\[\]]+"


class HubSource(NamedTuple):
    """A repository's table: ``name`` is the id or a folder; ``parts`` are config and split, as far as they are given.

    Of two given parts the first is the config; one alone may be either.
    """

    name: str
    is_folder: bool
    revision: str
    parts: tuple[str, ...]


def parse_source(text: str) -> HubSource:
    """Return what ``hf:REPO[@REVISION][:CONFIG][:SPLIT]`` names; REPO may be a folder (``/``, ``./``, ``../``, ``~``).

    Raises VlmakeError for anything else.
    """
    name, *parts = text.removeprefix(_PREFIX).split(":")
    given = tuple(part for part in parts if part)
    none = VlmakeError(f"'{text}' is no hf:REPO[@REVISION][:CONFIG][:SPLIT] and no hf:/FOLDER[:CONFIG][:SPLIT]")
    if len(parts) > 2 or not all(re.fullmatch(_PART, part) and part not in (".", "..") for part in given):
        raise none
    if name.startswith(("/", "./", "../", "~")):
        return HubSource(name, True, "", given)
    repository, _, revision = name.partition("@")
    if not text.startswith(_PREFIX) or not re.fullmatch(_REPOSITORY, repository, re.ASCII):
        raise none
    return HubSource(repository, False, revision or "main", given)


def source_spec(
    source: str, columns: Mapping[str, str], task: str, answers: bool, first_option: int | None = None
) -> str:
    """Return what changes the TSV that is made from a source: cheap and offline, for planning.

    A folder is known by names, sizes and modification times; a repository by what the entry says, so that a branch
    that moves on changes nothing.
    """
    parsed = parse_source(source)
    said: dict[str, Any] = {"source": source, "columns": dict(columns), "task": task, "answers": answers}
    said |= {} if first_option is None else {"first_option": first_option}
    return canonical_json(said | ({"folder": _folder_state(Path(parsed.name))} if parsed.is_folder else {}))


def note_file(tsv: Path) -> Path:
    """Return the note beside a TSV that was made from a source."""
    return tsv.with_name(f"{tsv.name}.made.json")


def edited_digest(tsv: Path) -> str | None:
    """Return the digest of a TSV that is not as it was made from its source; None for any other, or where none is."""
    if not tsv.is_file():
        return None
    try:
        note = json.loads(note_file(tsv).read_text(encoding="utf-8"))
        made = note.get("sha256") if isinstance(note, dict) else None
    except (OSError, ValueError):
        made = None
    digest = file_digest(tsv)
    return None if digest == made else digest


def parquet_files(folder: Path) -> Iterator[Path]:
    """Yield the parquet files in a folder and those below it, sorted."""
    return (file for file in sorted(folder.rglob("*.parquet")) if file.is_file())


def _folder_state(folder: Path) -> str:
    folder = folder.expanduser()
    states = {
        file.relative_to(folder).as_posix(): [file.stat().st_size, file.stat().st_mtime_ns]
        for file in parquet_files(folder)
    }
    return text_digest(canonical_json(states)) if states else "not there"
