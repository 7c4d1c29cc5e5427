"""What can change a model's answers, apart from what cannot.

The answer-relevant part of a model entry is digested into every prediction's key; batch size, device count and path
are not part of it, so another machine or another batch size finds its earlier answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vlmake import paths
from vlmake.backends.quantization import automatic_dtype
from vlmake.backends.registry import BACKENDS
from vlmake.data.hubs import Hub
from vlmake.devices.finding import VENDORS, visible_devices
from vlmake.environments.locks import find_lock
from vlmake.inference.prompts import Frames
from vlmake.model_classes.source import plugin_identity
from vlmake.models import checkpoints
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.model_entries import (
    BenchmarkRule,
    CheckpointEntry,
    EndpointEntry,
    ModelEntry,
    PluginEntry,
    TransformersEntry,
)
from vlmake.store import canonical_json, text_digest

# The pixel budget and the prompt depend on the benchmark too; they are in the key of each prediction by themselves.
_NOT_IN_ANSWERS = {
    "description",
    "path",
    "repository",
    "modelscope",
    "hub",
    "revision",
    "architecture",
    "verified",
    "environment",
    "run_in",
    "device",
    "gpus",
    "device_map",
    "tensor_parallel",
    "batch_size",
    "image_groups",
    "pixels",
    "benchmarks",
    "max_images",
    "adapters",
    "aliases",
    "max_new_tokens",
    "api_base",
    "api_key",
    "served_model",
    "nproc",
    "timeout",
    "retry",
    "retry_interval",
    "requests_per_minute",
    "price",
    "max_cost",
    "limit_key",
    "start_timeout",
    "model",
    "python_path",
    "served_model_variable",
    "first_question",
}


@dataclass(frozen=True)
class RuntimeOptions:
    """How a model runs on this machine: nothing here may change an fp32 answer.

    ``descriptors`` hold the leases of its devices; a process that uses them too must inherit these.
    """

    device: Literal["cpu", "cuda", "npu"]
    threads: int = 1
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True)
class BenchmarkSettings:
    """What holds for a model on one benchmark: pixel budget, its own frames around questions, longest answer."""

    pixels: Mapping[str, Any]
    frames: Frames
    max_new_tokens: int


@dataclass(frozen=True)
class ModelSpec:
    """A model entry of which it is known what answers: ``identity`` for the keys, ``folder`` of its files if any."""

    name: str
    entry: ModelEntry
    folder: Path
    identity: str

    @property
    def home(self) -> str:
        """The folder under ``results/`` of its locks and logs."""
        return self.name

    @property
    def journals(self) -> str:
        """The journals with all that it ever answered, as a pattern of paths."""
        return paths.journal(self.name, "*")

    def digest(self) -> str:
        """Return the digest of everything about the model that can change an answer."""
        return text_digest(canonical_json({"identity": self.identity, "settings": self.settings()}))

    def describe(self) -> dict[str, Any]:
        """Return what a predictions file says about its model: identity, settings and library versions."""
        versions = {library: version(library) for library in BACKENDS[self.entry.backend].libraries}
        return {"model": self.name, "identity": self.identity, "settings": self.settings(), "versions": versions}

    def settings(self) -> dict[str, Any]:
        """Return the settings that can change an answer, as they are really used."""
        return answer_settings(self.entry)


@dataclass(frozen=True)
class TransformersSpec(ModelSpec):
    """A checkpoint for transformers, with its number format; ``adapters`` are the folders laid over it in order."""

    entry: TransformersEntry
    dtype: str
    adapters: tuple[Path, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Return the settings that can change an answer, with the number format that was chosen."""
        return answer_settings(self.entry) | {"dtype": self.dtype}


def answer_settings(entry: ModelEntry) -> dict[str, Any]:
    """Return the entry's keys that can change an answer, with the backend's hand-raised version.

    Where the model runs in an environment of its own, the versions that are locked there count too.
    """
    settings = entry.model_dump(mode="json", exclude=_NOT_IN_ANSWERS)
    locked = {"locked": find_lock(entry.run_in).digest} if entry.run_in else {}
    return settings | locked | {"backend_version": BACKENDS[entry.backend].version}


def planning_spec(entry: ModelEntry, hub: Hub = "hf") -> dict[str, Any]:
    """Return what makes a model's predictions stale, cheap enough to compute for every job of a plan."""
    if isinstance(entry, CheckpointEntry):
        return {"checkpoint": checkpoints.planning_source(entry, hub), "settings": answer_settings(entry)}
    return {"identity": declared_identity(entry), "settings": answer_settings(entry)}


def declared_identity(entry: ModelEntry) -> str:
    """Return what a model is that lies in no files: what its entry declares, whatever its address.

    Raises VlmakeError for a plugin whose module is not there.
    """
    if isinstance(entry, PluginEntry):
        return plugin_identity(entry)
    assert isinstance(entry, EndpointEntry)
    return f"endpoint:{entry.served_model}@{entry.revision}"


def benchmark_settings(entry: ModelEntry, dataset: str, benchmark: DatasetEntry) -> BenchmarkSettings:
    """Return what holds for the model on one benchmark; ``dataset`` is its name without a row limit.

    An answer's length is limited by the benchmark, else by the model on that benchmark, else by the model.
    """
    pixels = entry.pixels.model_dump(exclude_none=True)
    frames, longest = Frames(), entry.max_new_tokens
    for rule in entry.benchmarks:
        if _holds(rule, dataset, benchmark):
            pixels |= rule.pixels.model_dump(exclude_none=True)
            frames = Frames(
                rule.prompt or frames.question,
                rule.choice_prompt or frames.choice,
                rule.choice_prompt_chinese or frames.choice_chinese,
                rule.suffix or frames.suffix,
                rule.image_order or frames.image_order,
            )
            longest = rule.max_new_tokens or longest
    return BenchmarkSettings(pixels, frames, benchmark.max_new_tokens or longest)


def _holds(rule: BenchmarkRule, dataset: str, benchmark: DatasetEntry) -> bool:
    named = any(fnmatchcase(dataset, pattern) for pattern in rule.datasets)
    excepted = any(fnmatchcase(dataset, pattern) for pattern in rule.but_not)
    return named and not excepted and (not rule.tasks or benchmark.task in rule.tasks)


def choose_device(entry: ModelEntry) -> Literal["cpu", "cuda", "npu"]:
    """Return the device kind the model runs on here: a GPU where one is visible and wanted, else the CPU."""
    if isinstance(entry, CheckpointEntry) and entry.device != "auto":
        return entry.device
    visible = visible_devices() if entry.gpus else ()
    return VENDORS[visible[0].vendor].torch_kind if visible else "cpu"


def resolve(name: str, entry: ModelEntry, checkpoint: Path | None = None) -> ModelSpec:
    """Return what is loaded and what it is, from the record that the checkpoint stage wrote if there is one.

    Without a record the checkpoint is located now. Raises VlmakeError where it cannot be had, or where the model needs
    other libraries than are installed.
    """
    checkpoints.require_environment(name, entry)
    if not isinstance(entry, CheckpointEntry):
        return ModelSpec(name, entry, Path(), declared_identity(entry))
    if checkpoint is not None:
        located = checkpoints.read(checkpoint, name)
    else:
        located = checkpoints.locate(name, entry, "hf", checkpoints.model_cache(None))
    if not isinstance(entry, TransformersEntry):
        return ModelSpec(name, entry, located.folder, located.identity)
    dtype = automatic_dtype(located.folder, choose_device(entry)) if entry.dtype == "auto" else entry.dtype
    adapters = tuple(adapter.folder for adapter in located.adapters)
    return TransformersSpec(name, entry, located.folder, located.identity, dtype, adapters)
