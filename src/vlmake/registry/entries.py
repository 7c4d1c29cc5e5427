"""The registry's entries as typed values: benchmarks and models, every key with its meaning."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from vlmake.inference.prompts import CHOICES, OPTION, ImageOrder, Template
from vlmake.registry.tasks import Task


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


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
