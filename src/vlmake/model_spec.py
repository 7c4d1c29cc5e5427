"""What can change a model's answers, apart from what cannot.

The answer-relevant part of a model entry is digested into every prediction's key; batch size, device count and path
are not part of it, so another machine or another batch size finds its earlier answers.
"""

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vlmake import digests
from vlmake.devices import visible_gpus
from vlmake.errors import VlmakeError
from vlmake.registry import DatasetEntry, ModelEntry
from vlmake.store import canonical_json, text_digest

BACKEND_VERSIONS = {"transformers": 1}  # raise a number only when that backend's answers really change

_NOT_IN_ANSWERS = {
    "description",
    "path",
    "hub",
    "revision",
    "device",
    "gpus",
    "batch_size",
    "aliases",
    "max_new_tokens",
}


@dataclass(frozen=True)
class RuntimeOptions:
    """How a model runs on this machine: nothing here may change an fp32 answer."""

    device: Literal["cpu", "cuda"]
    threads: int = 1


@dataclass(frozen=True)
class ModelSpec:
    """A model entry whose checkpoint is found: ``folder`` to load from, ``identity`` for the keys."""

    name: str
    entry: ModelEntry
    folder: Path
    identity: str
    dtype: str

    def digest(self) -> str:
        """Return the digest of everything about the model that can change an answer."""
        return text_digest(
            canonical_json({"identity": self.identity, "settings": answer_settings(self.entry) | {"dtype": self.dtype}})
        )

    def describe(self) -> dict[str, Any]:
        """Return what a predictions file says about its model: identity, settings and library versions."""
        versions = {library: version(library) for library in ("torch", "transformers")}
        settings = answer_settings(self.entry) | {"dtype": self.dtype}
        return {"model": self.name, "identity": self.identity, "settings": settings, "versions": versions}


def answer_settings(entry: ModelEntry) -> dict[str, Any]:
    """Return the entry's keys that can change an answer, with the backend's hand-raised version."""
    settings = entry.model_dump(mode="json", exclude=_NOT_IN_ANSWERS)
    return settings | {"backend_version": BACKEND_VERSIONS[entry.backend]}


def planning_spec(entry: ModelEntry) -> dict[str, Any]:
    """Return what makes a model's predictions stale, cheap enough to compute for every job of a plan."""
    if entry.path is not None:
        checkpoint = f"fingerprint:{digests.checkpoint_fingerprint(Path(entry.path))}"
    else:
        checkpoint = f"hub:{entry.hub}@{entry.revision}"
    return {"checkpoint": checkpoint, "settings": answer_settings(entry)}


def longest_answer(entry: ModelEntry, benchmark: DatasetEntry) -> int:
    """Return the token limit of an answer: the benchmark's, else the model's."""
    return benchmark.max_new_tokens or entry.max_new_tokens


def choose_device(entry: ModelEntry) -> Literal["cpu", "cuda"]:
    """Return the device kind the model runs on here: a GPU where one is visible and wanted, else the CPU."""
    if entry.device != "auto":
        return entry.device
    return "cuda" if entry.gpus and visible_gpus() else "cpu"


def resolve(name: str, entry: ModelEntry) -> ModelSpec:
    """Find the checkpoint and its identity; a hub model that is not in the hub cache is downloaded.

    Raises VlmakeError when there is neither a folder nor a way to the hub.
    """
    dtype = entry.dtype
    if dtype == "auto":
        dtype = "bfloat16" if choose_device(entry) == "cuda" else "float32"
    if entry.path is not None:
        folder = Path(entry.path)
        return ModelSpec(name, entry, folder, f"local:{digests.checkpoint_digest(folder)}", dtype)
    assert entry.hub is not None  # the registry refuses an entry with neither
    folder = hub_snapshot(name, entry.hub, entry.revision)
    return ModelSpec(name, entry, folder, f"hub:{entry.hub}@{folder.name}", dtype)


def hub_snapshot(name: str, repository: str, revision: str) -> Path:
    """Return the local snapshot folder, named by its commit hash, from the hub cache or by downloading it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in sorted(digests.CHECKPOINT_SUFFIXES)]
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise VlmakeError(
            f"model '{name}': {repository}@{revision} is neither in the hub cache nor to be had from the hub"
            f" ({type(error).__name__}); set `path` to a checkpoint folder or download it where there is a network"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{40}", folder.name):
        raise VlmakeError(f"model '{name}': {folder} is not named by a commit, so its predictions could not be keyed")
    return folder
