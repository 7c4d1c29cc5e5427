"""The file by which a run knows that an environment is there: its interpreter and the digest of its lock."""

import json
from collections.abc import Iterable
from pathlib import Path

from vlmake import paths
from vlmake.environments import building
from vlmake.environments.locks import Lock, find_lock
from vlmake.errors import VlmakeError
from vlmake.store import canonical_json, write_text

_SHOWN = 16  # letters of a lock's digest in a marker's name: another lock is another file


def marker(lock: Lock, data_dir: str) -> str:
    """Return the path of a lock's marker."""
    return paths.environment(lock.name, lock.digest[:_SHOWN], data_dir)


def named_lock(run_ins: Iterable[str], name: str, digest: str) -> Lock:
    """Return one of the locks that models run in by what its marker is called; raise VlmakeError if none is it."""
    for run_in in dict.fromkeys(run_ins):
        lock = find_lock(run_in)
        if lock.name == name and lock.digest.startswith(digest):
            return lock
    raise VlmakeError(f"no model runs in an environment '{name}' with a lock {digest}; its lock file has changed")


def make(lock: Lock, file: Path) -> None:
    """Build a lock's environment, unless it is there, and write its marker; raise VlmakeError if it cannot be built."""
    folder = building.environment_folder(lock.file, on_core=True)
    building.build(lock.file, folder, on_core=True)
    write_text(file, canonical_json({"python": str(building.interpreter(folder)), "lock": lock.digest}))


def read_interpreter(file: Path) -> Path:
    """Return the interpreter of a marker's environment; raise VlmakeError where that is not whole."""
    try:
        python = Path(json.loads(file.read_text(encoding="utf-8"))["python"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VlmakeError(f"{file} cannot be read ({type(error).__name__}); the same command makes it again") from error
    if not building.is_whole(python.parents[1]):
        raise VlmakeError(f"the environment of {file} is not whole any more; the same command makes it again")
    return python


def remove_broken(file: Path) -> None:
    """Remove a marker whose environment is gone or half-deleted: what needs it makes it again."""
    try:
        read_interpreter(file)
    except VlmakeError:
        file.unlink(missing_ok=True)
