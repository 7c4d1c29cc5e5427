"""What can be run: datasets and models as typed entries, read from YAML files, one file per family.

A registry folder holds ``datasets/*.yaml`` and ``models/*.yaml``; ``vlmake.layers`` says how an entry of a later folder
is laid over an earlier one. A relative ``path`` in an entry is relative to the YAML file that names it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from vlmake import paths
from vlmake.dataset_classes.source import class_name
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.hf_names import parse_source
from vlmake.layers import Draft, lay_over, mapping, read_layers
from vlmake.metrics.registry import metric_entry
from vlmake.prompts import CHOICES, OPTION, ImageOrder, Template
from vlmake.submissions.registry import submission_entry
from vlmake.tasks import Task


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


ANY_METRIC = "vqa_exact"
"""The metric of a benchmark of which nothing is known but that its answers are texts."""

Model = TypeVar("Model", bound=BaseModel)
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


def _names_places(*places: str) -> Callable[[str | None], str | None]:
    """Return a check that a frame has a place for each of ``places``: without it a question would not be asked."""

    def check(frame: str | None) -> str | None:
        if frame is not None and (absent := [place for place in places if place not in frame]):
            raise ValueError(f"has no place for {absent[0]}")
        return frame

    return check


def _asks(frame: str | None) -> str | None:
    """Refuse a frame that would not ask the question, unless it says by ``{images}`` that it is a prompt by itself."""
    if frame is not None and not ("{question}" in frame or "{images}" in frame):
        raise ValueError("has no place for {question} (a prompt that asks by itself names {images})")
    return frame


class Entry(BaseModel):
    """What every registry entry shares: immutable, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetEntry(Entry):
    """One benchmark: where its TSV comes from, how it is asked and how it is scored."""

    description: str = Field("", description="One line for `vlmake list datasets`.")
    url: Texts = Field((), description="http(s) or file URLs of the TSV; mirrors are tried in order.")
    md5: Texts = Field((), description="Every accepted md5 of the TSV: releases differ.")
    path: str | None = Field(None, description="A TSV on disk, used in place instead of a download.")
    source: str | None = Field(None, description="hf:REPO[@REVISION][:CONFIG][:SPLIT], a table of parquet files.")
    columns: Mapping[str, str] = Field({}, description="Column of the TSV: the `source`'s column that it comes from.")
    dataset: str | None = Field(None, description="my_module:MyDataset, a dataset class: see `vlmake.vlmeval`.")
    python_path: str | None = Field(None, description="Folder of the class's module; the YAML file's own if absent.")
    parts: Texts = Field((), description="Benchmarks that this one is made of: each is run, their tables are stacked.")
    rows: int | None = Field(None, ge=1, description="Number of rows, so that shards are known before the download.")
    rows_per_shard: int = Field(500, ge=1, description="How many rows one inference job takes.")
    images: Literal["one", "several"] | None = Field(None, description="Images per question, where it is known.")
    groups: Literal["image", "pair", "rotation", "figure"] = Field(
        "image",
        description="Which rows hang together: of one image, pair, question or figure.",
    )
    input: Literal["image", "video", "document", "conversation"] = Field(
        "image", description="What a question is about; only images can be run so far."
    )
    task: Task = Field(description="What is answered: yes_no, multiple_choice, vqa or caption.")
    prompt: str | None = Field(None, description="Frame around the question; the task's own if absent.")
    choices: str = Field(CHOICES, description="Block around the {options}, left out where a row has none.")
    option: str = Field(OPTION, description="One option's line, of {letter} and {text}.")
    image_order: ImageOrder = Field("first", description="Where images go: first, last, or at marks.")
    question: str | None = Field(None, description="What is asked where the TSV has no column `question`.")
    prompt_source: Literal["vlmevalkit", "assumed"] = Field(
        "vlmevalkit", description="assumed: VLMEvalKit's prompt is not known, and the question is asked as it stands."
    )
    metric: str | None = Field(None, description="Name of the metric that makes the table.")
    scoring: Literal["none"] | None = Field(None, description="none: no metric is known; predictions are all there is.")
    answers: bool = Field(True, description="Whether the TSV has the right answers.")
    submission: str | None = Field(None, description="The file that the server with the hidden answers wants.")
    judge: str | None = Field(None, description="The LLM judge that VLMEvalKit takes when none is named.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest answer; the model's own limit if absent.")
    aliases: Texts = Field((), description="Other names under which this benchmark is known.")

    _prompt = field_validator("prompt")(_asks)
    _option = field_validator("option")(_names_places("{text}"))
    _choices = field_validator("choices")(_names_places("{options}"))


class PixelBudget(Entry):
    """Limits on what the image processor makes of one image; absent keys keep the checkpoint's own setting.

    A model takes the keys its image processor knows; any other is refused when the model is loaded.
    """

    min_pixels: int | None = Field(None, ge=1, description="Smallest area of one image (Qwen).")
    max_pixels: int | None = Field(None, ge=1, description="Largest area of one image (Qwen).")
    longest_edge: int | None = Field(None, ge=1, description="Longest side of one image (Idefics, SmolVLM).")
    do_image_splitting: bool | None = Field(None, description="Cut a large image into tiles (Idefics, SmolVLM).")
    min_patches: int | None = Field(None, ge=1, description="Fewest tiles of one image (InternVL).")
    max_patches: int | None = Field(None, ge=1, description="Most tiles of one image (InternVL).")
    max_image_tiles: int | None = Field(None, ge=1, description="Most tiles of one image (Llama 3.2 Vision).")
    do_pan_and_scan: bool | None = Field(None, description="Cut out parts of a long image (Gemma 3).")
    prompt_patches: int | None = Field(None, ge=1, description="Most tiles of all images of a prompt (InternVL).")
    first_image_scale: int | None = Field(None, ge=1, le=8, description="Enlarge the first image by this factor.")


class BenchmarkRule(Entry):
    """What a model does otherwise on some benchmarks; of several rules that match, later ones win key by key."""

    datasets: Texts = Field(description="Dataset names, with * for any letters.")
    but_not: Texts = Field((), description="Names among these for which the rule does not hold.")
    tasks: tuple[Task, ...] = Field((), description="Only benchmarks of these tasks; all if absent.")
    pixels: PixelBudget = Field(PixelBudget(), description="Pixel budget on these benchmarks.")
    prompt: str | None = Field(None, description="Frame around the question (yes_no, vqa), not the benchmark's own.")
    choice_prompt: str | None = Field(
        None, description="Frame for multiple_choice of {hint} or {hint_line}, {question} and {options}."
    )
    choice_prompt_chinese: str | None = Field(None, description="The same where the question holds Chinese.")
    suffix: str = Field("", description="Text behind every prompt.")
    image_order: Literal["first", "last"] | None = Field(None, description="Images before or behind the text.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest answer, where the benchmark names none.")

    _prompt = field_validator("prompt")(_names_places("{question}"))
    _choices = field_validator("choice_prompt", "choice_prompt_chinese")(_names_places("{question}", "{options}"))


_REPLAYED_AT_ONCE = 200  # rows that are looked up and journaled together; their pictures are in memory meanwhile


class ModelEntry(Entry):
    """One model: its checkpoint, and everything that can change its answers."""

    description: str = Field("", description="One line for `vlmake list models`.")
    backend: Literal["transformers", "replay"] = Field(
        "transformers", description="Which backend turns messages into text; replay: imported predictions."
    )
    path: str | None = Field(None, description="Checkpoint folder; for replay the folder of the import.")
    repository: str | None = Field(None, description="Model id on the hub, `owner/name`, if there is no path.")
    modelscope: str | None = Field(None, description="Model id on ModelScope, where it has another one.")
    hub: Literal["hf", "modelscope", "path"] | None = Field(None, description="Where it comes from, else the run's.")
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    converter: Literal["internvl2"] | None = Field(None, description="Rewrites a published layout to a native one.")
    architecture: str | None = Field(None, description="The class of transformers that runs it.")
    verified: Literal["architecture", "unverified"] = Field(
        "unverified", description="architecture: a small random checkpoint of its class ran in the tests."
    )
    environment: Texts = Field((), description="Requirements it needs beyond vlmake's own, as pip writes them.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format; auto is bfloat16 on a GPU and float32 on a CPU."
    )
    device: Literal["auto", "cpu", "cuda", "npu"] = Field("auto", description="auto takes a GPU where there is one.")
    gpus: int = Field(1, ge=0, description="GPUs that one inference job asks for; 0 by default for device: cpu.")
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = Field(
        None, description="Spread the layers over the job's GPUs."
    )
    tensor_parallel: bool = Field(False, description="Split every layer over the job's GPUs, one process each.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="Attention implementation; auto is sdpa where the architecture has it, else eager."
    )
    load_in_8bit: bool = Field(False, description="Quantise to 8 bits while loading (bitsandbytes).")
    load_in_4bit: bool = Field(False, description="Quantise to 4 bits while loading (bitsandbytes).")
    adapters: Texts = Field((), description="Folders of PEFT adapters, laid over the weights in order.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint.")
    pixels: PixelBudget = Field(PixelBudget(), description="Pixel budget of the image processor.")
    benchmarks: tuple[BenchmarkRule, ...] = Field((), description="What is different on some benchmarks.")
    max_images: int | None = Field(None, ge=1, description="Most images in a prompt; a sample with more is an error.")
    image_groups: Literal["auto", "features", "off"] = Field(
        "auto", description="Questions on one image share its prompt prefix (auto), its features, or nothing."
    )
    chat_template: str | None = Field(None, description="Jinja chat template for a checkpoint that has none.")
    system: str | None = Field(None, description="System text before every prompt.")
    max_new_tokens: int = Field(512, ge=1, description="Longest answer where the benchmark names none.")
    batch_size: int = Field(16, ge=1, description="Samples per generation call; never changes fp32 answers.")
    aliases: Texts = Field((), description="Other names under which this model is known.")

    @model_validator(mode="before")
    @classmethod
    def _no_gpu_for_the_cpu(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("backend") == "replay":
            values = {"device": "cpu", "batch_size": _REPLAYED_AT_ONCE, **values}
        if isinstance(values, dict) and values.get("device") == "cpu":
            return {"gpus": 0, **values}
        return values


@dataclass(frozen=True)
class Registry:
    """All entries by name, and aliases by the name they stand for."""

    datasets: Mapping[str, DatasetEntry]
    models: Mapping[str, ModelEntry]
    aliases: Mapping[str, str]
    unrecognised: frozenset[str] = frozenset()
    """Datasets whose entry says no task: it is told from their TSV when they are wanted (``vlmake.own_benchmarks``)."""
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

    def _resolve(self, kind: str, name: str, entries: Mapping[str, Any]) -> str:
        if name in entries:
            return name
        alias = self.aliases.get(f"{kind}:{name}")
        if alias is not None:
            return alias
        more = self.unregistered if kind == "dataset" else ()
        known = [*entries, *more, *(key.split(":", 1)[1] for key in self.aliases if key.startswith(f"{kind}:"))]
        raise VlmakeError(f"unknown {kind} '{name}'{did_you_mean(name, known)} (see `vlmake list {kind}s`)")


def shards(entry: DatasetEntry, limit: int | None, rows_per_shard: int | None = None) -> int:
    """Return how many shards a benchmark has: a property of the data, never of the machine.

    ``rows_per_shard`` is the configuration's override of the entry's own value. Unknown row counts give one shard.
    """
    if entry.rows is None:
        return 1
    rows = min(entry.rows, limit or entry.rows)
    return -(-rows // (rows_per_shard or entry.rows_per_shard))


def prompt_template(entry: DatasetEntry) -> Template:
    """Return how a benchmark asks."""
    return Template(entry.task, entry.prompt, entry.choices, entry.option, entry.image_order, entry.question)


def tsv_path(base: str, entry: DatasetEntry, lmu_data: Path) -> Path:
    """Return where a dataset's TSV lies or will lie."""
    return Path(entry.path) if entry.path else lmu_data / f"{base}.tsv"


def load_registry(folders: Sequence[Path]) -> Registry:
    """Read the registry folders in order, later entries laid over earlier ones of the same name.

    Raises VlmakeError naming the file, the entry and the key of the first fault.
    """
    drafts: dict[str, dict[str, Draft]] = {"datasets": {}, "models": {}}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for section, earlier in drafts.items():
            drafts[section] = lay_over(earlier, read_layers(folder, section))
    tasked = {name: _with_task(draft) for name, draft in drafts["datasets"].items()}
    datasets = {name: _typed(DatasetEntry, draft) for name, (draft, _) in tasked.items()}
    models = {name: _typed(ModelEntry, draft) for name, draft in drafts["models"].items()}
    for name, draft in drafts["datasets"].items():
        _check_parts(name, datasets, draft.where)
    aliases = {**_aliases("dataset", datasets), **_aliases("model", models)}
    return Registry(datasets, models, aliases, frozenset(name for name, (_, known) in tasked.items() if not known))


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
        return draft, True
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


def _aliases(kind: str, entries: Mapping[str, DatasetEntry] | Mapping[str, ModelEntry]) -> dict[str, str]:
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
    return BenchmarkRule.model_fields if isinstance(place[-2], int) else PixelBudget.model_fields


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
    if entry.source is not None and entry.url:
        raise VlmakeError(f"{where}: `url` and `source` exclude each other")
    if entry.columns and entry.source is None:
        raise VlmakeError(f"{where}: `columns` says what becomes of a `source`, and there is none")
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


def _check_model(entry: ModelEntry, where: str) -> None:
    if not (entry.path or entry.repository):
        raise VlmakeError(f"{where}: give `path` (a checkpoint folder) or `repository` (owner/name on a hub)")
    if entry.backend == "replay" and (entry.path is None or entry.converter or entry.adapters):
        raise VlmakeError(f"{where}: backend replay takes the `path` of an import, no converter and no adapters")
    if entry.load_in_8bit and entry.load_in_4bit:
        raise VlmakeError(f"{where}: load_in_8bit and load_in_4bit exclude each other")
    if entry.tensor_parallel and (entry.device_map or entry.gpus < 2):
        raise VlmakeError(f"{where}: tensor_parallel needs `gpus` of at least 2 and no device_map")
