"""Converters: a published checkpoint whose model class is its own Python code becomes a folder of a native class.

A conversion is made once for each source and converter version, beside its final place, and renamed there; whoever
finds the folder finds a whole one. Nothing of the checkpoint is executed.
"""

import os
import shutil
from importlib import import_module
from pathlib import Path

from vlmake.errors import VlmakeError
from vlmake.locks import hold
from vlmake.store import disk_errors, sync_folder

_MODULES = {"internvl2": "vlmake.converters.internvl2"}
_VERSIONS = {"internvl2": 1}  # raise a number only when what that converter writes really changes


def version(name: str) -> int:
    """Return the converter's version: part of the key of every answer of a model that it made."""
    try:
        return _VERSIONS[name]
    except KeyError:
        raise VlmakeError(f"unknown converter '{name}'; there are {', '.join(_VERSIONS)}") from None


def convert(name: str, source: Path, key: str, cache: Path) -> Path:
    """Return the converted form of the checkpoint folder ``source``, made now unless ``cache`` has it.

    ``key`` names the source's content. Raises VlmakeError for a source that is damaged or not of that layout.
    """
    target = cache / f"{name}-v{version(name)}-{key}"
    if target.is_dir():
        return target
    with hold(cache / f".{target.name}.lock", f"waiting: another process is converting {source}"):
        if not target.is_dir():
            _make(name, source, target)
    return target


def _make(name: str, source: Path, target: Path) -> None:
    """Convert beside ``target`` and rename; the caller holds the lock, so a leftover is a dead process's."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with disk_errors(target):
            import_module(_MODULES[name]).convert(source, part)
            for file in part.iterdir():
                _sync(file)
            sync_folder(part)
            part.rename(target)
            sync_folder(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
