"""Weights of a checkpoint folder, one tensor at a time: read from safetensors or .bin files, written in bounded shards.

Reading maps files into memory instead of loading them, so the peak is about one output shard.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from vlmake.errors import VlmakeError
from vlmake.store import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import torch

INDEX = "model.safetensors.index.json"
_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_INDEXES = (INDEX, "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Source:
    """The tensors of a checkpoint: ``names`` by file, in the files' order, and every tensor's shape."""

    files: dict[Path, list[str]]
    shapes: dict[str, tuple[int, ...]]


def open_source(folder: Path) -> Source:
    """Read the names and shapes of all weights; raise VlmakeError for a file that is missing, damaged or incomplete."""
    promised = _promised_names(folder)
    files: dict[Path, list[str]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(set(promised.values())) if promised else _single_file(folder):
        files[file] = []
        for name, shape in _shapes(file):
            if name in shapes:
                raise VlmakeError(f"{file} holds tensor {name}, which another file of the checkpoint holds too")
            files[file].append(name)
            shapes[name] = shape
    for name, file in promised.items():
        if name not in files[file]:
            raise VlmakeError(f"{file} is incomplete: its index promises tensor {name}; download the checkpoint again")
    return Source(files, shapes)


def stream(source: Source) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor with its name, file by file."""
    for file, names in source.files.items():
        with _Tensors(file) as tensors:
            for name in names:
                yield name, tensors.get(name)


def write_shards(tensors: Iterable[tuple[str, torch.Tensor]], folder: Path, shard_bytes: int) -> None:
    """Write safetensors files of at most ``shard_bytes`` (a larger tensor gets its own) and their index."""
    save_file: Callable[..., None] = import_module("safetensors.torch").save_file
    shards: list[list[str]] = []
    total = 0

    def flush(batch: dict[str, torch.Tensor]) -> None:
        save_file(batch, folder / _part_name(len(shards)), metadata={"format": "pt"})
        shards.append(list(batch))

    batch: dict[str, torch.Tensor] = {}
    size = 0
    for name, tensor in tensors:
        if batch and size + tensor.nbytes > shard_bytes:
            flush(batch)
            batch, size = {}, 0
        batch[name] = tensor.contiguous().clone()
        size += tensor.nbytes
        total += tensor.nbytes
    flush(batch)
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards):
        final = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / _part_name(number)).rename(folder / final)
        weight_map |= dict.fromkeys(names, final)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_text(folder / INDEX, json.dumps(index, indent=2))


def _part_name(number: int) -> str:
    return f"shard-{number}.safetensors"


def _promised_names(folder: Path) -> dict[str, Path]:
    """Return which file should hold which tensor; empty for a checkpoint in one file."""
    index = next((folder / name for name in _INDEXES if (folder / name).is_file()), None)
    if index is None:
        return {}
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): folder / str(file) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VlmakeError(f"{index} is damaged ({error}); download it again") from error


def _single_file(folder: Path) -> list[Path]:
    for name in _SINGLE_FILES:
        if (folder / name).is_file():
            return [folder / name]
    raise VlmakeError(f"{folder} has no weights: neither {' nor '.join(_SINGLE_FILES + _INDEXES)} is there")


def _shapes(file: Path) -> list[tuple[str, tuple[int, ...]]]:
    with _Tensors(file) as tensors:
        return [(name, tensors.shape(name)) for name in tensors.names()]


class _Tensors:
    """One opened weight file, whichever format it has."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._opened = _open_safetensors(file) if file.suffix == ".safetensors" else _open_bin(file)
        except FileNotFoundError:
            raise VlmakeError(f"{file} is missing; download the checkpoint again") from None
        except Exception as error:  # each library raises its own kinds for a damaged file
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise VlmakeError(f"{file} is damaged ({reason}); download it again") from error

    def __enter__(self) -> _Tensors:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened = {}

    def names(self) -> list[str]:
        return list(self._opened.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        if isinstance(self._opened, dict):
            return tuple(self._opened[name].shape)
        return tuple(self._opened.get_slice(name).get_shape())

    def get(self, name: str) -> torch.Tensor:
        found: Any = self._opened[name] if isinstance(self._opened, dict) else self._opened.get_tensor(name)
        return found  # type: ignore[no-any-return]


def _open_safetensors(file: Path) -> Any:
    return import_module("safetensors").safe_open(file, framework="pt", device="cpu")


def _open_bin(file: Path) -> dict[str, Any]:
    """Map a .bin file: only tensors are unpickled, never code (files of the older, unzipped format are read whole)."""
    import torch

    content = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError("it holds something else than named tensors")
    return content
