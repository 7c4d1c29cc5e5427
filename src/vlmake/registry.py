"""What can be run: datasets and models as typed entries, read from YAML files, one file per family.

A registry folder holds ``datasets/*.yaml`` and ``models/*.yaml``. Later folders win over earlier ones, name by name.
A relative ``path`` in an entry is relative to the YAML file that names it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vlmake import paths
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.metrics.registry import metric_entry
from vlmake.prompts import Task


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Model = TypeVar("Model", bound=BaseModel)
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Entry(BaseModel):
    """What every registry entry shares: immutable, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetEntry(Entry):
    """One benchmark: where its TSV comes from, how it is asked and how it is scored."""

    description: str = Field("", description="One line for `vlmake list datasets`.")
    url: Texts = Field((), description="http(s) or file URLs of the TSV; mirrors are tried in order.")
    md5: Texts = Field((), description="Every accepted md5 of the TSV: releases differ.")
    path: str | None = Field(None, description="A TSV on disk, used in place instead of a download.")
    rows: int | None = Field(None, ge=1, description="Number of rows, so that shards are known before the download.")
    rows_per_shard: int = Field(500, ge=1, description="How many rows one inference job takes.")
    task: Task = Field(description="Prompt family: yes_no, multiple_choice or vqa.")
    prompt: str = Field("{question}", description="Frame around the question (yes_no and vqa).")
    metric: str = Field(description="Name of the metric that makes the table.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest answer; the model's own limit if absent.")
    aliases: Texts = Field((), description="Other names under which this benchmark is known.")


class PixelBudget(Entry):
    """Limits on what the image processor makes of one image; absent keys keep the checkpoint's own setting."""

    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)


class ModelEntry(Entry):
    """One model: its checkpoint, and everything that can change its answers."""

    description: str = Field("", description="One line for `vlmake list models`.")
    backend: Literal["transformers"] = Field("transformers", description="Which backend turns messages into text.")
    path: str | None = Field(None, description="Checkpoint folder.")
    hub: str | None = Field(None, description="Model id on the hub, `owner/name`, if there is no path.")
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format; auto is bfloat16 on a GPU and float32 on a CPU."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one.")
    gpus: int = Field(1, ge=0, description="GPUs that one inference job asks for.")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field("sdpa", description="Attention implementation.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint.")
    pixels: PixelBudget = Field(PixelBudget(), description="Pixel budget of the image processor.")
    chat_template: str | None = Field(None, description="Jinja chat template for a checkpoint that has none.")
    system: str | None = Field(None, description="System text before every prompt.")
    max_new_tokens: int = Field(512, ge=1, description="Longest answer where the benchmark names none.")
    batch_size: int = Field(8, ge=1, description="Samples per generation call; never changes fp32 answers.")
    aliases: Texts = Field((), description="Other names under which this model is known.")


@dataclass(frozen=True)
class Registry:
    """All entries by name, and aliases by the name they stand for."""

    datasets: Mapping[str, DatasetEntry]
    models: Mapping[str, ModelEntry]
    aliases: Mapping[str, str]

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

    def _resolve(self, kind: str, name: str, entries: Mapping[str, Any]) -> str:
        if name in entries:
            return name
        alias = self.aliases.get(f"{kind}:{name}")
        if alias is not None:
            return alias
        known = [*entries, *(key.split(":", 1)[1] for key in self.aliases if key.startswith(f"{kind}:"))]
        raise VlmakeError(f"unknown {kind} '{name}'{did_you_mean(name, known)} (see `vlmake list {kind}s`)")


def shards(entry: DatasetEntry, limit: int | None, rows_per_shard: int | None = None) -> int:
    """Return how many shards a benchmark has: a property of the data, never of the machine.

    ``rows_per_shard`` is the configuration's override of the entry's own value. Unknown row counts give one shard.
    """
    if entry.rows is None:
        return 1
    rows = min(entry.rows, limit or entry.rows)
    return -(-rows // (rows_per_shard or entry.rows_per_shard))


def tsv_path(base: str, entry: DatasetEntry, lmu_data: Path) -> Path:
    """Return where a dataset's TSV lies or will lie."""
    return Path(entry.path) if entry.path else lmu_data / f"{base}.tsv"


def load_registry(folders: Sequence[Path]) -> Registry:
    """Read the registry folders in order; later entries win. Raise VlmakeError naming file, entry and key."""
    datasets: dict[str, DatasetEntry] = {}
    models: dict[str, ModelEntry] = {}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        datasets.update(_read_family_files(folder, "datasets", DatasetEntry))
        models.update(_read_family_files(folder, "models", ModelEntry))
    aliases = {
        f"{kind}:{alias}": name
        for kind, entries in (("dataset", datasets), ("model", models))
        for name, entry in entries.items()
        for alias in entry.aliases
    }
    return Registry(datasets, models, aliases)


def registry_folders(extra: Iterable[str] = (), current: Path | None = None) -> list[Path]:
    """Return the shipped registry, the ``config/`` of the current folder if there is one, then the extra folders."""
    here = (current or Path.cwd()) / "config"
    folders = [paths.product_root() / "config", *([here] if here.is_dir() else [])]
    for name in extra:
        if not Path(name).is_dir():
            raise VlmakeError(f"registry folder {name} is not there")
        folders.append(Path(name))
    return folders


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file; raise VlmakeError with file and line on bad YAML."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise VlmakeError(f"{file}{line}: {error.problem or error.context}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise VlmakeError(f"{file}: {error}") from error


def validate(kind: type[Model], values: Any, where: str) -> Model:
    """Return the typed entry; raise VlmakeError with the first fault as one line."""
    try:
        return kind.model_validate(_mapping(values, where))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = kind.model_fields if len(fault["loc"]) == 1 else PixelBudget.model_fields
            raise VlmakeError(f"{where}: unknown key '{key}'{did_you_mean(str(fault['loc'][-1]), known)}") from None
        if fault["type"] == "missing":
            raise VlmakeError(f"{where}: key '{key}' is missing") from None
        hint = did_you_mean(
            str(fault["input"]), re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", "")))
        )
        raise VlmakeError(f"{where}: {key}: {fault['msg']}, found {fault['input']!r}{hint}") from None


def _read_family_files(folder: Path, section: str, kind: type[Model]) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for file in sorted((folder / section).glob("*.yaml")):
        content = read_yaml(file) or {}
        unknown = set(map(str, content)) - {"defaults", section} if isinstance(content, dict) else {repr(content)}
        if unknown:
            raise VlmakeError(f"{file}: expected 'defaults' and '{section}', found {', '.join(sorted(unknown))}")
        for name, values in _mapping(content.get(section), f"{file}: {section}").items():
            _check_name(str(name), file)
            where = f"{file}: {name}"
            own = _mapping(values, where)
            merged = _mapping(content.get("defaults"), f"{file}: defaults") | own
            entry = validate(kind, _anchored(merged, file), where)
            _check_entry(entry, where)
            found[str(name)] = entry
    return found


def _check_entry(entry: BaseModel, where: str) -> None:
    """Refuse what no single key shows: a metric of another task, or an entry that leads nowhere."""
    if isinstance(entry, ModelEntry) and not (entry.path or entry.hub):
        raise VlmakeError(f"{where}: give `path` (a checkpoint folder) or `hub` (owner/name)")
    if isinstance(entry, DatasetEntry):
        if not (entry.path or entry.url):
            raise VlmakeError(f"{where}: give `url` or `path`, where its TSV comes from")
        try:
            task = metric_entry(entry.metric).task
        except VlmakeError as error:
            raise VlmakeError(f"{where}: {error}") from None
        if task != entry.task:
            raise VlmakeError(f"{where}: metric '{entry.metric}' counts answers of task '{task}', not '{entry.task}'")


def _mapping(values: Any, where: str) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise VlmakeError(f"{where}: expected keys and values, found {values!r}")
    return values


def _check_name(name: str, file: Path) -> None:
    if not re.fullmatch(paths.NAME, name) or name in paths.RESERVED_NAMES:
        raise VlmakeError(f"{file}: '{name}' cannot be a name: letters, digits and . _ + - only, not report or summary")


def _anchored(values: dict[str, Any], file: Path) -> dict[str, Any]:
    path = values.get("path")
    if not isinstance(path, str):
        return values
    try:
        return {**values, "path": str((file.parent / Path(path).expanduser()).resolve())}
    except (RuntimeError, ValueError) as error:
        raise VlmakeError(f"{file}: path {path!r} is none: {error}") from None
