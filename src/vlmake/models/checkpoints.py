"""Which files a model is loaded from, and what they are: folder, identity, adapters.

A plain local folder is used as it is. A model from a hub, or one that is converted, is prepared once by a stage of its
own, before inference; its record pins the commit, so that all shards of a run load the same weights wherever they run.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import BaseModel, ConfigDict, ValidationError

from vlmake import converters, digests
from vlmake.backends.older_transformers import OLDEST, is_too_old
from vlmake.data import hubs
from vlmake.data.hubs import Hub, Snapshot
from vlmake.digests import Kind, missing_file
from vlmake.environments.locks import find_lock, read_lock, shipped_locks
from vlmake.errors import VlmakeError
from vlmake.registry.model_entries import CheckpointEntry, ModelEntry, TransformersEntry
from vlmake.store import canonical_json, text_digest

_OURS = frozenset({"torch", "transformers"})  # what the backend is written for: another version cannot be put in


class Conversion(BaseModel):
    """How a published layout was rewritten: by which version of which converter, into which cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int
    cache: Path


class Checkpoint(BaseModel):
    """Everything that is loaded: ``folder`` with the model, and the adapters laid over it in order.

    ``identity`` names the content of all of it, wherever it lies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str
    folder: Path
    source: Snapshot
    converter: Conversion | None
    adapters: tuple[Snapshot, ...]

    def is_there(self) -> bool:
        """Tell whether all folders are still whole."""
        adapters = (missing_file(adapter.folder, "adapter") for adapter in self.adapters)
        return missing_file(self.folder) is None and not any(adapters)


def content(entry: CheckpointEntry) -> Kind:
    """Return what lies in the entry's folder: a model, or predictions that stand as one."""
    return "predictions" if entry.backend == "replay" else "model"


def is_prepared(entry: ModelEntry) -> bool:
    """Tell whether a stage before inference fetches or converts the model; a plain local folder needs none."""
    if not isinstance(entry, CheckpointEntry):
        return False
    return entry.path is None or entry.converter is not None or not all(map(_is_folder, entry.adapters))


def locate(name: str, entry: CheckpointEntry, hub: Hub, cache: Path) -> Checkpoint:
    """Return the model's checkpoint, downloaded and converted if that was not done before.

    Args:
        name: The model, for errors.
        entry: Its entry.
        hub: Where it comes from if the entry does not say.
        cache: Where converted checkpoints lie.

    Raises VlmakeError as one line that starts with the model's name.
    """
    with _of_model(name):
        hub = entry.hub or hub
        if entry.path is not None:
            source = hubs.local(Path(entry.path), content(entry))
        else:
            source = hubs.fetch(hub, _repository(entry, hub), entry.revision)
        adapters = tuple(_adapter(adapter, hub) for adapter in entry.adapters)
        converter = None
        if entry.converter is not None:
            converter = Conversion(name=entry.converter, version=converters.version(entry.converter), cache=cache)
        return _assembled(source, converter, adapters)


def look_up(entry: CheckpointEntry, hub: Hub) -> Path | None:
    """Return the folder that the model would be loaded or converted from, None where it is to be downloaded.

    Asks no network and reads no weights. Raises VlmakeError for a local folder that is no whole checkpoint.
    """
    hub = entry.hub or hub
    if entry.path is not None:
        hubs.refuse_incomplete(Path(entry.path), content(entry))
        return Path(entry.path)
    return hubs.cached(hub, _repository(entry, hub), entry.revision)


def require_local(name: str, entry: CheckpointEntry, hub: Hub) -> None:
    """Raise VlmakeError where a folder that the entry names is no whole checkpoint or adapter; asks no network.

    What comes from a hub is not looked at: whether it can be had, only the hub knows.
    """
    with _of_model(name):
        if entry.path is not None or (entry.repository is not None and (entry.hub or hub) == "path"):
            look_up(entry, hub)
        for adapter in filter(_is_folder, entry.adapters):
            hubs.refuse_incomplete(Path(adapter), "adapter")


def read(file: Path, name: str) -> Checkpoint:
    """Return the checkpoint that a record pins, made again at the same commit if its folders are gone.

    Raises VlmakeError for a damaged record, and where the pinned content is no longer to be had.
    """
    try:
        pinned = Checkpoint.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise VlmakeError(f"model '{name}': {file} cannot be read ({type(error).__name__}); remove it") from error
    with _of_model(name):
        if pinned.is_there():
            return pinned
        again = _assembled(
            _again(pinned.source), pinned.converter, tuple(_again(adapter, "adapter") for adapter in pinned.adapters)
        )
        if again.identity != pinned.identity:
            raise VlmakeError(
                f"{pinned.source.name} is no longer what {file} pinned; remove that file to evaluate what it is now"
            )
        return again


def record(checkpoint: Checkpoint) -> str:
    """Return the record of a checkpoint: equal checkpoints give equal text."""
    return canonical_json(checkpoint.model_dump(mode="json")) + "\n"


def planning_source(entry: CheckpointEntry, hub: Hub) -> str:
    """Return what makes the model's weights other ones, cheap enough for every plan and without any network."""
    hub = entry.hub or hub
    if entry.path is not None:
        parts = [f"fingerprint:{digests.checkpoint_fingerprint(Path(entry.path), content(entry))}"]
    else:
        prefix = "hub" if hub == "hf" else hub
        parts = [f"{prefix}:{_repository(entry, hub)}@{entry.revision}"]
    if entry.converter is not None:
        parts.append(f"{entry.converter}:{converters.version(entry.converter)}")
    for adapter in entry.adapters:
        if _is_folder(adapter):
            parts.append(f"fingerprint:{digests.checkpoint_fingerprint(Path(adapter), 'adapter')}")
        else:
            parts.append(f"{hub}:{adapter}")
    return " + ".join(parts)


def model_cache(configured: str | None) -> Path:
    """Return where converted checkpoints lie: the configured folder, else one in the user's cache."""
    return Path(configured).expanduser() if configured else digests.cache_home() / "models"


def unmet_requirements(entry: ModelEntry) -> Iterator[tuple[Requirement, str]]:
    """Yield the entry's requirements that its environment does not meet, each with what is there.

    Where the entry names none, its environment is the running interpreter's.
    """
    lock = find_lock(entry.run_in) if entry.run_in else None
    for text in entry.environment:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            raise VlmakeError(f"environment: '{text}' is no requirement as pip writes them") from None
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            here = lock.version(requirement.name) if lock else version(requirement.name)
        except PackageNotFoundError:
            yield requirement, "not installed here"
            continue
        if not requirement.specifier.contains(here, prereleases=True):
            yield requirement, f"here {here}"


def require_environment(name: str, entry: ModelEntry) -> None:
    """Raise VlmakeError where a requirement of the model is not met, before anything of it is fetched or loaded."""
    with _of_model(name, ""):
        unmet = list(unmet_requirements(entry))
        wanted = ", ".join(f"{requirement} ({here})" for requirement, here in unmet)
        if any(requirement.name in _OURS for requirement, _ in unmet):
            raise VlmakeError(f"needs {wanted}, with which vlmake itself does not run: {_way_out(entry, unmet)}")
        if unmet and entry.run_in is not None:
            raise VlmakeError(f"needs {wanted}: pin it in a copy of {find_lock(entry.run_in).file}, its `run_in`")
        if unmet:
            raise VlmakeError(f"needs {wanted}: install it into {sys.prefix}, or run vlmake where it is installed")
        if _is_too_old(entry, entry.run_in):
            raise VlmakeError(
                f"runs in {entry.run_in}, and backend transformers needs transformers {OLDEST} or newer:"
                " a class of your own runs there (`backend: plugin`)"
            )


def _is_too_old(entry: ModelEntry, run_in: str | None) -> bool:
    if run_in is None or not isinstance(entry, TransformersEntry):
        return False
    return is_too_old(find_lock(run_in).version("transformers"))


def _way_out(entry: ModelEntry, unmet: Sequence[tuple[Requirement, str]]) -> str:
    """Return where other versions of what vlmake rests on are to be had: a shipped environment, else one's own."""
    wanted = [requirement for requirement, _ in unmet if requirement.name in _OURS]
    fitting = [
        name
        for name, file in shipped_locks().items()
        if all(requirement.specifier.contains(read_lock(file).version(requirement.name)) for requirement in wanted)
    ]
    if fitting:
        how = ", where a class of your own runs (`backend: plugin`)" if _is_too_old(entry, fitting[0]) else ""
        return f"`run_in: {fitting[0]}` has it{how}"
    return "pin it in a lock file and give that as `run_in`"


def _assembled(source: Snapshot, converter: Conversion | None, adapters: tuple[Snapshot, ...]) -> Checkpoint:
    folder, identity = source.folder, source.identity
    if converter is not None:
        if converters.version(converter.name) != converter.version:
            raise VlmakeError(f"converter {converter.name} has changed since; run the same command again")
        key = text_digest(identity)[:32]
        folder = converters.convert(converter.name, folder, key, converter.cache)
        identity += f" + {converter.name}:{converter.version}"
    identity = " + ".join([identity, *(adapter.identity for adapter in adapters)])
    return Checkpoint(identity=identity, folder=folder, source=source, converter=converter, adapters=adapters)


def _again(pinned: Snapshot, kind: Kind = "model") -> Snapshot:
    return hubs.fetch(pinned.hub, pinned.name, pinned.revision or "", kind)


def _adapter(adapter: str, hub: Hub) -> Snapshot:
    if _is_folder(adapter):
        return hubs.local(Path(adapter), "adapter")
    name, _, revision = adapter.partition("@")
    return hubs.fetch(hub, name, revision or "main", "adapter")


def _is_folder(adapter: str) -> bool:
    return Path(adapter).is_absolute()  # the registry makes every folder absolute; a hub id never is


def _repository(entry: CheckpointEntry, hub: Hub) -> str:
    if hub == "modelscope" and entry.modelscope:
        return entry.modelscope
    assert entry.repository is not None  # the registry refuses an entry with neither path nor repository
    return entry.repository


@contextmanager
def _of_model(name: str, colon: str = ":") -> Iterator[None]:
    """Start the text of every VlmakeError inside with the model's name."""
    try:
        yield
    except VlmakeError as error:
        raise VlmakeError(f"model '{name}'{colon} {error}") from error
