"""The registry entry of an import: ``config/models/imported.yaml`` of the current folder, where ``vlmake run`` looks.

The file belongs to ``vlmake import``. An entry that stands elsewhere, or that is no import, is never changed.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.registry.layers import mapping, read_yaml
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import ModelEntry, ReplayEntry
from vlmake.store import write_text

_HEAD = "# Finished predictions that stand as models; written by `vlmake import`, which keeps no comments in it.\n\n"


def entry_file(current: Path) -> Path:
    """Return the registry file that imports are entered in."""
    return current / "config" / "models" / "imported.yaml"


def refuse_name(name: str, registry: Registry, file: Path, folder: Path, replace: bool) -> None:
    """Raise VlmakeError for a name that cannot be a model's, or that stands for something else already.

    Args:
        name: The name that the import shall have.
        registry: All that is registered.
        file: Where imports are entered.
        folder: Where the import will lie.
        replace: Whether an earlier import of that name may be replaced.
    """
    if not re.fullmatch(paths.NAME, name) or name in paths.RESERVED_NAMES:
        raise VlmakeError(f"'{name}' cannot be a name: letters, digits and . _ + - only, not report or summary")
    own = _entries(file).get(name)
    if own is None and (name in registry.models or f"model:{name}" in registry.aliases):
        raise VlmakeError(f"'{name}' is a registered model already; give the import another name with --as")
    if own is not None and (own.get("backend") != "replay" or _place(own, file) != folder.resolve()):
        raise VlmakeError(f"{file}: '{name}' is another entry; give the import another name with --as")
    if (own is not None or folder.exists()) and not replace:
        raise VlmakeError(f"'{name}' is imported already ({folder}); import it anew with --replace")


def lock_of(file: Path) -> Path:
    """Return the lock file that an import holds from its last look at the entries until its own is written."""
    return file.with_name(f".{file.name}.lock")


def refuse_not_imported(name: str, entry: ModelEntry, dataset: str) -> None:
    """Raise VlmakeError for a dataset, by its registered name, of which an imported model has no predictions."""
    if not isinstance(entry, ReplayEntry):
        return
    folder = Path(entry.path)
    there = sorted(file.stem for file in folder.glob("*.parquet"))
    if there and dataset not in there:
        raise VlmakeError(
            f"'{name}' is imported and has no predictions of {dataset}, only of {', '.join(there)}; import a folder"
            f" with all of them: `vlmake import DIR --as {name} --replace`"
        )


def write_entry(name: str, folder: Path, description: str, file: Path) -> None:
    """Enter an import, beside those that are there."""
    here = file.parent.parent.parent.resolve()
    target = folder.resolve()
    inside = target.is_relative_to(here)
    place = os.path.relpath(target, file.parent.resolve()) if inside else str(target)
    entries = _entries(file) | {name: {"description": description, "backend": "replay", "path": place}}
    text = yaml.safe_dump({"models": dict(sorted(entries.items()))}, sort_keys=False, allow_unicode=True, width=120)
    write_text(file, _HEAD + text)


def _entries(file: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of the file by name; raise VlmakeError where it is not as this module writes it."""
    if not file.exists():
        return {}
    content = mapping(read_yaml(file), str(file))
    if set(content) - {"models"}:
        raise VlmakeError(f"{file}: expected only 'models'; this file belongs to `vlmake import`: move the rest away")
    models = mapping(content.get("models"), f"{file}: models")
    return {name: mapping(values, f"{file}: {name}") for name, values in models.items()}


def _place(entry: dict[str, Any], file: Path) -> Path:
    return (file.parent / str(entry.get("path", ""))).resolve()
