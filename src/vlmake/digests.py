"""Digests of files and checkpoints, remembered by path, size and modification time.

A 15 GB checkpoint takes seconds to hash; the memory is a folder of small files under the user's cache, and losing it
costs only those seconds.
"""

import hashlib
import json
import os
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from vlmake.errors import VlmakeError
from vlmake.store import canonical_json, text_digest, write_text

CHECKPOINT_SUFFIXES = frozenset(
    {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py", ".pt", ".pth", ".tiktoken"}
)
TRAINING_LEFTOVERS = (
    "checkpoint-*",
    "training_args.bin",
    "trainer_state.json",
    "optimizer.*",
    "scheduler.*",
    "rng_state*",
    "runs",
)
Kind = Literal["model", "adapter", "predictions"]
CONFIGURATIONS: dict[Kind, str] = {
    "model": "config.json",
    "adapter": "adapter_config.json",
    "predictions": "import.json",
}
CALLED: dict[Kind, str] = {"model": "checkpoint", "adapter": "PEFT adapter", "predictions": "import"}
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")  # in the order in which they are preferred
_PREDICTIONS = (".parquet",)
_SETTLED_SECONDS = 2.0  # a file changed this recently may change again within the clock's resolution


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file's content, from memory if path, size and modification time are known."""
    file = file.resolve()
    stat = file.stat()
    known_as = {"path": str(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    memory = _cache_folder() / f"{text_digest(str(file))[:32]}.json"
    remembered = _read_memory(memory)
    if {key: remembered.get(key) for key in known_as} == known_as:
        return str(remembered["sha256"])
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if time.time() - stat.st_mtime > _SETTLED_SECONDS:
        _remember(memory, known_as | {"sha256": digest})
    return digest


def checkpoint_files(folder: Path, kind: Kind = "model") -> list[Path]:
    """Return the files of a checkpoint or adapter folder that can change an answer, sorted by name."""
    if not (folder / CONFIGURATIONS[kind]).is_file():
        raise VlmakeError(f"{folder} is no {CALLED[kind]}: there is no {CONFIGURATIONS[kind]} in it")
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in (_PREDICTIONS if kind == "predictions" else CHECKPOINT_SUFFIXES)
        and file.is_file()
        and not any(_is_not_of_the_model(part) for part in file.relative_to(folder).parts)
    )


def _is_not_of_the_model(part: str) -> bool:
    """Tell hidden files, and what a training leaves beside the weights: none of it changes an answer."""
    return part.startswith(".") or any(fnmatchcase(part, pattern) for pattern in TRAINING_LEFTOVERS)


def missing_file(folder: Path, kind: Kind = "model") -> str | None:
    """Return a file that the folder lacks of a whole checkpoint or adapter, by its index of weights; None if whole."""
    if not (folder / CONFIGURATIONS[kind]).is_file():
        return CONFIGURATIONS[kind]
    for suffix in _PREDICTIONS if kind == "predictions" else _WEIGHTS:
        if any(file.is_file() for file in folder.glob(f"*{suffix}")):
            indexed = (name for index in folder.glob(f"*{suffix}.index.json") for name in _indexed(index))
            return next((name for name in indexed if not (folder / name).is_file()), None)
    return "a file of predictions" if kind == "predictions" else "a file of weights (*.safetensors or *.bin)"


def _indexed(index: Path) -> list[str]:
    """Return the files that an index of weights names; raise VlmakeError for a damaged one."""
    try:
        return sorted(set(map(str, json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise VlmakeError(f"{index} is damaged: it is no index of weight files") from None


def checkpoint_digest(folder: Path, kind: Kind = "model") -> str:
    """Return one digest over names and contents of a checkpoint's configuration, tokenizer and weights."""
    contents = {file.relative_to(folder).as_posix(): file_digest(file) for file in checkpoint_files(folder, kind)}
    return text_digest(canonical_json(contents))


def checkpoint_fingerprint(folder: Path, kind: Kind = "model") -> str:
    """Return a digest over names, sizes and modification times: cheap enough for planning thousands of jobs.

    A checkpoint that is gone has the fingerprint it was last seen with, so deleting weights stales no result.
    """
    memory = _cache_folder() / f"fingerprint-{text_digest(str(folder))[:32]}.json"
    remembered = _read_memory(memory).get("sha256")
    if not (folder / CONFIGURATIONS[kind]).is_file():
        return str(remembered or "never seen")
    stats = {
        file.relative_to(folder).as_posix(): [file.stat().st_size, file.stat().st_mtime_ns]
        for file in checkpoint_files(folder, kind)
    }
    fingerprint = text_digest(canonical_json(stats))
    if fingerprint != remembered:
        _remember(memory, {"path": str(folder), "sha256": fingerprint})
    return fingerprint


def cache_home() -> Path:
    """Return vlmake's folder in the user's cache, by the desktop standard."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vlmake"


def _cache_folder() -> Path:
    return cache_home() / "digests"


def _read_memory(memory: Path) -> dict[str, object]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("sha256"), str) else {}


def _remember(memory: Path, content: dict[str, object]) -> None:
    try:
        write_text(memory, canonical_json(content))
    except OSError:
        return  # a read-only home only costs the hashing
