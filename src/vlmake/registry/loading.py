"""What can be run: datasets, models and judges as typed entries, read from YAML files.

A registry folder holds ``datasets/*.yaml``, ``models/*.yaml`` and ``judges.yaml``; ``layers`` says how an entry of a
later folder is laid over an earlier one. A relative ``path`` in an entry is relative to the YAML file that names it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vlmake import paths
from vlmake.backends.registry import BACKENDS
from vlmake.dataset_classes.source import class_name
from vlmake.endpoints.address import OPENAI, chat_url
from vlmake.environments.locks import find_lock
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.metrics.registry import metric_entry
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.entry import Entry
from vlmake.registry.hf_names import parse_source
from vlmake.registry.judge_entries import WAYS, Judge, JudgeEndpointEntry, JudgeServerEntry
from vlmake.registry.layers import Draft, lay_over, mapping, read_layers
from vlmake.registry.model_entries import (
    BenchmarkRule,
    CheckpointEntry,
    EndpointEntry,
    ModelEntry,
    PixelBudget,
    PriceEntry,
    ServedEntry,
    ServerEntry,
    TransformersEntry,
)
from vlmake.registry.other_backend import without_other_backends_keys
from vlmake.registry.tasks import TASKS
from vlmake.submissions.registry import submission_entry

Model = TypeVar("Model", bound=BaseModel)

ANY_METRIC = "vqa_exact"
"""The metric of a benchmark of which nothing is known but that its answers are texts."""


@dataclass(frozen=True)
class Registry:
    """All entries by name, and aliases by the name they stand for."""

    datasets: Mapping[str, DatasetEntry]
    models: Mapping[str, ModelEntry]
    aliases: Mapping[str, str]
    judges: Mapping[str, Judge] = field(default_factory=dict)
    unrecognised: frozenset[str] = frozenset()
    """Datasets whose entry says no task: it is told from their TSV when they are wanted (``own_benchmarks``)."""
    unregistered: tuple[str, ...] = ()
    """Further names that could be meant: TSVs without an entry."""

    def resolve_model(self, name: str) -> str:
        """Return the registered name; raise VlmakeError with the closest one for an unknown name."""
        return self._resolve("model", name, self.models)

    def resolve_dataset(self, name: str) -> str:
        """Return the registered name with its row limit, if any; raise VlmakeError for an unknown name."""
        parsed = paths.parse_dataset(name)
        return str(paths.LimitedName(self._resolve("dataset", parsed.base, self.datasets), parsed.limit))

    def dataset(self, name: str) -> DatasetEntry:
        """Return the entry behind a dataset name, with or without a limit."""
        return self.datasets[paths.parse_dataset(self.resolve_dataset(name)).base]

    def model(self, name: str) -> ModelEntry:
        """Return the entry behind a model name."""
        return self.models[self.resolve_model(name)]

    def judge(self, name: str) -> Judge:
        """Return the entry behind a judge's name; raise VlmakeError with the closest one for an unknown name."""
        return self.judges[self.resolve_judge(name)]

    def resolve_judge(self, name: str) -> str:
        """Return the registered name of a judge."""
        return self._resolve("judge", name, self.judges)

    def _resolve(self, kind: str, name: str, entries: Mapping[str, Any]) -> str:
        if name in entries:
            return name
        alias = self.aliases.get(f"{kind}:{name}")
        if alias is not None:
            return alias
        more = self.unregistered if kind == "dataset" else ()
        known = [*entries, *more, *(key.split(":", 1)[1] for key in self.aliases if key.startswith(f"{kind}:"))]
        raise VlmakeError(f"unknown {kind} '{name}'{did_you_mean(name, known)} (see `vlmake list {kind}s`)")


def load_registry(folders: Sequence[Path]) -> Registry:
    """Read the registry folders in order, later entries laid over earlier ones of the same name.

    Raises VlmakeError naming the file, the entry and the key of the first fault.
    """
    drafts: dict[str, dict[str, Draft]] = {"datasets": {}, "models": {}, "judges": {}}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for section, earlier in drafts.items():
            drafts[section] = lay_over(earlier, read_layers(folder, section))
    tasked = {name: _with_task(draft) for name, draft in drafts["datasets"].items()}
    datasets = {name: _typed(DatasetEntry, draft) for name, (draft, _) in tasked.items()}
    models = {name: _model(draft) for name, draft in drafts["models"].items()}
    judges = _judges(drafts["judges"])
    for name, draft in drafts["datasets"].items():
        _check_parts(name, datasets, draft.where)
    aliases = {**_aliases("dataset", datasets), **_aliases("model", models), **_aliases("judge", judges)}
    unrecognised = frozenset(name for name, (_, known) in tasked.items() if not known)
    return Registry(datasets, models, aliases, judges, unrecognised)


def _judges(drafts: Mapping[str, Draft]) -> dict[str, Judge]:
    for name, draft in drafts.items():
        if name in WAYS:
            raise VlmakeError(f"{draft.where}: `judge: {name}` means something else; give the judge another name")
    return {name: _typed(_judge_kind(draft), draft) for name, draft in drafts.items()}


def _judge_kind(draft: Draft) -> type[Judge]:
    """Return what kind of entry a judge's draft is."""
    name = str(draft.values.get("backend", "endpoint"))
    if name not in _JUDGES:
        raise VlmakeError(f"{draft.where}: a judge's backend is {' or '.join(_JUDGES)}, not '{name}'")
    return _JUDGES[name]


_JUDGES: Mapping[str, type[Judge]] = {"endpoint": JudgeEndpointEntry, "server": JudgeServerEntry}


def _model(draft: Draft) -> ModelEntry:
    kind = _model_kind(draft)
    return _typed(kind, without_other_backends_keys(draft, kind))


def _model_kind(draft: Draft) -> type[ModelEntry]:
    """Return what kind of entry a model's draft is: its backend decides which keys it may have."""
    name = str(draft.values.get("backend", "transformers"))
    if name not in BACKENDS:
        known = f"{', '.join(BACKENDS)}{did_you_mean(name, BACKENDS)}"
        raise VlmakeError(f"{draft.where}: unknown backend '{name}'; there are {known}")
    return BACKENDS[name].entry


def _with_task(draft: Draft) -> tuple[Draft, bool]:
    """Return the draft of a dataset with its task, and whether that is known.

    A metric counts answers of one task. A TSV on disk without either is recognised by its content when it is wanted;
    until then its task is the one that any TSV can have.
    """
    values = draft.values
    if "task" in values:
        return draft, True
    if "dataset" in values:  # a class makes its own prompts and reads its own answers
        return replace(draft, values={**values, "task": "vqa"}), True
    metric = values.get("metric")
    if metric is not None:
        try:
            return replace(draft, values={**values, "task": metric_entry(str(metric)).task}), True
        except VlmakeError as error:
            raise VlmakeError(f"{draft.where}: {error}") from None
    if not isinstance(values.get("path"), str):
        raise VlmakeError(
            f"{draft.where}: give `task` ({', '.join(TASKS)}) and `metric`, or `scoring: none`:"
            " only a TSV on disk, a `path`, is recognised without them"
        )
    assumed = {} if values.get("scoring") == "none" else {"metric": ANY_METRIC}
    return replace(draft, values={**values, **assumed, "task": metric_entry(ANY_METRIC).task}), False


def _check_parts(name: str, datasets: Mapping[str, DatasetEntry], where: str) -> None:
    """Refuse parts that are not registered, or are made of parts themselves."""
    for part in datasets[name].parts:
        if part not in datasets:
            raise VlmakeError(f"{where}: parts: unknown dataset '{part}'{did_you_mean(part, datasets)}")
        if datasets[part].dataset is not None:
            raise VlmakeError(f"{where}: parts: '{part}' is scored by a class, and its table cannot be stacked")
        if datasets[part].parts:
            raise VlmakeError(f"{where}: parts: '{part}' is made of parts itself; name those")


def _aliases(
    kind: str, entries: Mapping[str, DatasetEntry] | Mapping[str, ModelEntry] | Mapping[str, Judge]
) -> dict[str, str]:
    """Return what each alias stands for; raise VlmakeError for one that stands for two entries."""
    found: dict[str, str] = {}
    for name, entry in entries.items():
        for alias in entry.aliases:
            other = alias if alias in entries else found.get(f"{kind}:{alias}", name)
            if other != name:
                raise VlmakeError(f"{kind} '{name}': alias '{alias}' already means {kind} '{other}'; give it another")
            found[f"{kind}:{alias}"] = name
    return found


def registry_folders(extra: Iterable[str] = (), current: Path | None = None) -> list[Path]:
    """Return the shipped registry, the ``config/`` of the current folder if there is one, then the extra folders."""
    here = (current or Path.cwd()) / "config"
    folders = [paths.product_root() / "config", *([here] if here.is_dir() else [])]
    for name in extra:
        if not Path(name).is_dir():
            raise VlmakeError(f"registry folder {name} is not there")
        folders.append(Path(name))
    return folders


def validate(kind: type[Model], values: Any, where: str, given_by: Mapping[str, str] | None = None) -> Model:
    """Return the typed entry; raise VlmakeError with the first fault as one line.

    ``given_by`` says for (nested) keys where each was given, if not at ``where``.
    """
    try:
        return kind.model_validate(mapping(values, where))
    except ValidationError as error:
        fault = error.errors()[0]
        if not fault["loc"]:  # of no single key
            raise VlmakeError(f"{where}: {fault['msg'].removeprefix('Value error, ')}") from None
        key = ".".join(str(part) for part in fault["loc"])
        places = given_by or {}
        where = places.get(".".join(map(str, fault["loc"][:2])), places.get(str(fault["loc"][0]), where))
        if fault["type"] == "extra_forbidden":
            known = _known_keys(kind, fault["loc"])
            raise VlmakeError(f"{where}: unknown key '{key}'{did_you_mean(str(fault['loc'][-1]), known)}") from None
        if fault["type"] == "missing":
            raise VlmakeError(f"{where}: key '{key}' is missing") from None
        hint = did_you_mean(
            str(fault["input"]), re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", "")))
        )
        raise VlmakeError(f"{where}: {key}: {fault['msg']}, found {fault['input']!r}{hint}") from None


def _known_keys(kind: type[BaseModel], place: Sequence[int | str]) -> Iterable[str]:
    if len(place) == 1:
        return [*kind.model_fields, *(["based_on"] if issubclass(kind, Entry) else [])]
    if kind is DatasetEntry:
        return _NESTED_KEYS.get(str(place[0]), ())
    if place[0] == "price":
        return PriceEntry.model_fields
    return BenchmarkRule.model_fields if isinstance(place[-2], int) else PixelBudget.model_fields


_NESTED_KEYS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("pieces", "image_order"), ("by", "cases", "else", "absent", "separator", "join")),
    "options_from": ("column", "pattern"),
    "inserts": ("column", "separator", "mark"),
}


def _typed(kind: type[Model], draft: Draft) -> Model:
    entry = validate(kind, draft.values, draft.where, draft.given_by)
    _check_entry(entry, draft.where)
    return entry


def _check_entry(entry: BaseModel, where: str) -> None:
    """Refuse what no single key shows: a metric of another task, or an entry that leads nowhere."""
    if isinstance(entry, ModelEntry):
        _check_model(entry, where)
    if isinstance(entry, DatasetEntry):
        _check_dataset(entry, where)


def _check_dataset(entry: DatasetEntry, where: str) -> None:
    if entry.dataset is not None or entry.python_path is not None:
        _check_class(entry, where)
        return
    if not (entry.path or entry.url or entry.source or entry.parts or entry.input != "image"):
        raise VlmakeError(f"{where}: give `url` or `path`, where its TSV comes from")
    if entry.source is not None and (entry.url or entry.path):
        other = "path" if entry.path else "url"
        raise VlmakeError(f"{where}: `{other}` and `source` exclude each other: give the one that the TSV comes from")
    for key in ("columns", "first_option"):
        if entry.source is None and getattr(entry, key) not in (None, {}):
            raise VlmakeError(f"{where}: `{key}` says what becomes of a `source`, and there is none")
    if entry.source is not None:
        try:
            parse_source(entry.source)
        except VlmakeError as error:
            raise VlmakeError(f"{where}: source: {error}") from None
    try:
        if entry.submission is not None:
            submission_entry(entry.submission)
    except VlmakeError as error:
        raise VlmakeError(f"{where}: {error}") from None
    if entry.metric is None:
        if entry.scoring is None:
            raise VlmakeError(f"{where}: give the `metric` that makes its table, or `scoring: none`")
        return
    if entry.scoring == "none":
        raise VlmakeError(f"{where}: `metric` and `scoring: none` exclude each other")
    try:
        task = metric_entry(entry.metric).task
    except VlmakeError as error:
        raise VlmakeError(f"{where}: {error}") from None
    if task != entry.task:
        raise VlmakeError(f"{where}: metric '{entry.metric}' counts answers of task '{task}', not '{entry.task}'")


def _check_class(entry: DatasetEntry, where: str) -> None:
    """Refuse a class that is none, and keys whose work the class does."""
    if entry.dataset is None:
        raise VlmakeError(f"{where}: `python_path` is where the class of `dataset` lies, and there is none")
    try:
        class_name(entry.dataset, entry.python_path)
    except VlmakeError as error:
        raise VlmakeError(f"{where}: dataset: {error}") from None
    for key in ("metric", "prompt", "question", "submission", "parts"):
        if getattr(entry, key):
            raise VlmakeError(f"{where}: `dataset` and `{key}` exclude each other: the class does that itself")


def _check_served(entry: ServedEntry, where: str) -> None:
    if isinstance(entry, EndpointEntry):
        try:
            chat_url(entry.api_base or OPENAI)
        except VlmakeError as error:
            raise VlmakeError(f"{where}: {error}") from None
    if isinstance(entry, ServerEntry) and entry.price is not None:
        raise VlmakeError(f"{where}: price is what a rented server charges; this one runs on your own devices")
    if isinstance(entry, ServerEntry) and "{port}" not in entry.command:
        raise VlmakeError(f"{where}: command has no place for {{port}}: the job chooses where its server listens")


def _check_model(entry: ModelEntry, where: str) -> None:
    if entry.run_in is not None:
        try:
            find_lock(entry.run_in)
        except VlmakeError as error:
            raise VlmakeError(f"{where}: {error}") from None
    if isinstance(entry, CheckpointEntry) and not (entry.path or entry.repository):
        raise VlmakeError(f"{where}: give `path` (a checkpoint folder) or `repository` (owner/name on a hub)")
    if isinstance(entry, ServedEntry):
        _check_served(entry, where)
    if not isinstance(entry, TransformersEntry):
        return
    if entry.load_in_8bit and entry.load_in_4bit:
        raise VlmakeError(f"{where}: load_in_8bit and load_in_4bit exclude each other")
    if entry.tensor_parallel and (entry.device_map or entry.gpus < 2):
        raise VlmakeError(f"{where}: tensor_parallel needs `gpus` of at least 2 and no device_map")
