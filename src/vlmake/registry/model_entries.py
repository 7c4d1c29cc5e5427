"""What a model's entry may say: keys that every model has, and those of its backend."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from vlmake.dataset_classes.source import NAME as CLASS_NAME
from vlmake.endpoints.key_names import NO_VARIABLE, may_be_variable
from vlmake.registry.command_keys import holds_secret, secret_place
from vlmake.registry.entry import Entry, Texts, names_places
from vlmake.registry.tasks import Task


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

    _prompt = field_validator("prompt")(names_places("{question}"))
    _choices = field_validator("choice_prompt", "choice_prompt_chinese")(names_places("{question}", "{options}"))


class ModelEntry(Entry):
    """One model, whatever answers for it."""

    description: str = Field("", description="One line for `vlmake list models`.")
    backend: str = Field("transformers", description="What turns messages into text.")
    gpus: int = Field(1, ge=0, description="GPUs that one inference job asks for.")
    environment: Texts = Field((), description="Requirements it needs beyond vlmake's own, as pip writes them.")
    run_in: str | None = Field(None, description="Environment that its jobs run in: a shipped name, or a lock file.")
    pixels: PixelBudget = Field(PixelBudget(), description="Pixel budget of the image processor.")
    benchmarks: tuple[BenchmarkRule, ...] = Field((), description="What is different on some benchmarks.")
    max_images: int | None = Field(None, ge=1, description="Most images in a prompt; a sample with more is an error.")
    system: str | None = Field(None, description="System text before every prompt.")
    max_new_tokens: int = Field(512, ge=1, description="Longest answer where the benchmark names none.")
    batch_size: int = Field(16, ge=1, description="Samples per generation call; never changes fp32 answers.")
    aliases: Texts = Field((), description="Other names under which this model is known.")

    def limits_pixels(self) -> bool:
        """Tell whether it has a pixel budget, at all or on some benchmarks."""
        return any(given != PixelBudget() for given in (self.pixels, *(rule.pixels for rule in self.benchmarks)))


class CheckpointEntry(ModelEntry):
    """A model that lies in files: a folder, or a repository on a hub."""

    path: str | None = Field(None, description="Checkpoint folder.")
    repository: str | None = Field(None, description="Model id on the hub, `owner/name`, if there is no path.")
    modelscope: str | None = Field(None, description="Model id on ModelScope, where it has another one.")
    hub: Literal["hf", "modelscope", "path"] | None = Field(None, description="Where it comes from, else the run's.")
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    converter: Literal["internvl2"] | None = Field(None, description="Rewrites a published layout to a native one.")
    adapters: Texts = Field((), description="Folders of PEFT adapters, laid over the weights in order.")
    device: Literal["auto", "cpu", "cuda", "npu"] = Field("auto", description="auto takes a GPU where there is one.")

    @model_validator(mode="before")
    @classmethod
    def _no_gpu_for_the_cpu(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("device") == "cpu":
            return {"gpus": 0, **values}
        return values


class TransformersEntry(CheckpointEntry):
    """A checkpoint that transformers runs in the job's own process."""

    backend: Literal["transformers"] = "transformers"
    architecture: str | None = Field(None, description="The class of transformers that runs it.")
    verified: Literal["architecture", "unverified"] = Field(
        "unverified", description="architecture: a small random checkpoint of its class ran in the tests."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format; auto is bfloat16 on a GPU and float32 on a CPU."
    )
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = Field(
        None, description="Spread the layers over the job's GPUs."
    )
    tensor_parallel: bool = Field(False, description="Split every layer over the job's GPUs, one process each.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="Attention implementation; auto is sdpa where the architecture has it, else eager."
    )
    load_in_8bit: bool = Field(False, description="Quantise to 8 bits while loading (bitsandbytes).")
    load_in_4bit: bool = Field(False, description="Quantise to 4 bits while loading (bitsandbytes).")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint.")
    image_groups: Literal["auto", "features", "off"] = Field(
        "auto", description="Questions on one image share its prompt prefix (auto), its features, or nothing."
    )
    chat_template: str | None = Field(None, description="Jinja chat template for a checkpoint that has none.")


_REPLAYED_AT_ONCE = 200  # rows that are looked up and journaled together; their pictures are in memory meanwhile


class ReplayEntry(CheckpointEntry):
    """Imported predictions that stand as a model: ``path`` is the folder of the import."""

    backend: Literal["replay"]
    path: str = Field(description="Folder of the import.")
    gpus: Literal[0] = 0
    device: Literal["cpu"] = "cpu"
    converter: None = None
    adapters: tuple[()] = ()
    batch_size: int = Field(_REPLAYED_AT_ONCE, ge=1, description="Rows that are looked up together.")


class PriceEntry(Entry):
    """What a server charges, for a million tokens of each kind."""

    input: float = Field(ge=0, description="Money for a million tokens of prompts.")
    output: float = Field(ge=0, description="Money for a million tokens of answers.")


def _none_is_none(value: Any) -> Any:
    return None if value == "none" else value


_OUR_KEYS = {
    "messages": "vlmake fills it in",
    "model": "give the key `served_model`",
    "temperature": "give the key `temperature`",
    "top_p": "give the key `top_p`",
    "max_tokens": "give the key `max_tokens`",
    "max_completion_tokens": "give the keys `max_tokens` and `limit_key: max_completion_tokens`",
    "max_new_tokens": "give the key `max_new_tokens`",
}
"""Keys of a request's body that an entry has a key of its own for, and which."""


class ServedEntry(ModelEntry):
    """How a server is asked, wherever it runs; ``max_tokens`` is another name of ``max_new_tokens``."""

    api_key: str | None = Field(None, description="NAME of the variable with the key, of the environment or .env.")
    temperature: Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_none_is_none)] = Field(
        0.0, description="Sampling temperature; `none` sends none (null takes the key back to its default)."
    )
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling; absent, none is sent.")
    img_size: int = Field(
        -1, ge=-1, description="Longest side in pixels of images as they are sent; -1: the original bytes."
    )
    img_detail: Literal["low", "high", "auto"] | None = Field(
        None, description="`detail` of every image, for servers that have it; absent, none is sent."
    )
    nproc: int = Field(32, ge=1, description="Most requests at once; how many really is found by trying.")
    timeout: float = Field(300.0, gt=0, description="Seconds that one request may take.")
    retry: int = Field(12, ge=1, description="Attempts at a request that fails for a passing reason.")
    retry_interval: float = Field(0.5, gt=0, description="Seconds before the second attempt; they double.")
    requests_per_minute: int | None = Field(None, ge=1, description="Most requests started in a minute.")
    price: PriceEntry | None = Field(None, description="What tokens cost: {input, output} for a million of each.")
    max_cost: float | None = Field(None, gt=0, description="Money after which this model is asked no more.")
    limit_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="The name by which the server takes the longest answer."
    )
    extra_body: Mapping[str, Any] = Field({}, description="Further keys of every request's body, as the server's API.")

    @model_validator(mode="before")
    @classmethod
    def _max_tokens(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "max_tokens" not in values:
            return values
        if "max_new_tokens" in values:
            raise ValueError("max_tokens and max_new_tokens are two names of one key: give one of them")
        return {"max_new_tokens" if key == "max_tokens" else key: value for key, value in values.items()}

    @model_validator(mode="before")
    @classmethod
    def _names_its_key(cls, values: Any) -> Any:
        # A fault of the whole entry: one of a single key would be shown with what is written there.
        key = values.get("api_key") if isinstance(values, dict) else None
        if key is not None and not (isinstance(key, str) and may_be_variable(key)):
            raise ValueError(NO_VARIABLE)
        return values

    @field_validator("img_size")
    @classmethod
    def _shows_something(cls, side: int) -> int:
        if side == 0:
            raise ValueError("write -1 for the original bytes, or the longest side in pixels")
        return side

    @field_validator("extra_body")
    @classmethod
    def _leaves_our_keys(cls, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        if extra.get("stream"):
            raise ValueError("answers are read whole: leave `stream` out")
        for taken in sorted(_OUR_KEYS.keys() & extra.keys()):
            raise ValueError(f"`{taken}` is not for extra_body: {_OUR_KEYS[taken]}")
        return extra

    @model_validator(mode="before")
    @classmethod
    def _tells_no_secret(cls, values: Any) -> Any:
        if isinstance(values, dict) and holds_secret(values.get("extra_body")):  # of no single key: it is not quoted
            raise ValueError("extra_body holds a secret, and it is written into results: name a variable in `api_key`")
        return values

    @model_validator(mode="after")
    def _limit_has_a_price(self) -> Self:
        if self.max_cost is not None and self.price is None:
            raise ValueError("max_cost needs a price: {input: ..., output: ...} for a million tokens of each")
        return self

    @model_validator(mode="after")
    def _has_its_own_image_processor(self) -> Self:
        if self.limits_pixels():
            raise ValueError(
                "a server prepares images itself, `pixels` has no effect on it: give `img_size`, the longest side in"
                " pixels of images as they are sent, or the server's own options"
            )
        return self


class EndpointEntry(ServedEntry):
    """A model behind an OpenAI-compatible server that runs somewhere."""

    backend: Literal["endpoint"]
    api_base: str = Field(description="The server's root, or the full URL of its chat completions.")
    served_model: str = Field(description="The model's id on the server.")
    revision: str = Field("", description="Snapshot behind the id, as far as you know: part of a prediction's key.")
    gpus: Literal[0] = 0


class ServerEntry(CheckpointEntry, ServedEntry):
    """A model that the job serves for itself: it starts a command on its devices and asks it."""

    backend: Literal["server"]
    command: str = Field(description="Command line that serves it, with {port}, {path}, {gpus} filled in.")
    served_model: str | None = Field(None, description="The model's id on the server; else what it lists, else {path}.")
    start_timeout: float = Field(1800.0, gt=0, description="Seconds within which the server must answer.")
    first_question: Literal["picture", "text"] = Field(
        "picture", description="What it must answer before it is asked; text for a model without eyes."
    )

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        try:
            place = secret_place(self.command)
        except ValueError as error:
            raise ValueError(f"command cannot be split into arguments: {error}") from None
        if place is not None:
            raise ValueError(
                f"command holds a secret ({place}), and is written into results: leave it out, or put it into an"
                " environment variable that the server reads (`api_key: NAME` hands it the key in NAME, also of .env)"
            )
        return self


VLMEVALKIT = "vlmevalkit:"
"""How a plugin begins that is a model of an installed vlmeval."""


class PluginEntry(ModelEntry):
    """A class of your own, in the shape of VLMEvalKit's development guide."""

    backend: Literal["plugin"]
    model: str = Field(description="my_module:MyModel, or vlmevalkit:NAME of an installed vlmeval.")
    python_path: str | None = Field(None, description="Folder of the module; the YAML file's own if absent.")
    arguments: Mapping[str, Any] = Field({}, description="Keyword arguments for the class.")
    revision: str = Field("", description="What you call this state of its weights: part of a prediction's key.")
    batch_size: int = Field(1, ge=1, description="Samples per call of generate_batch, where the class has it.")

    @field_validator("model")
    @classmethod
    def _is_a_class(cls, model: str) -> str:
        if not (model.startswith(VLMEVALKIT) and model != VLMEVALKIT) and not re.fullmatch(CLASS_NAME, model):
            raise ValueError("write my_module:MyModel, or vlmevalkit:NAME")
        return model

    @model_validator(mode="after")
    def _is_shown_files_and_text(self) -> Self:
        if self.system is not None:
            raise ValueError("a class has no place for `system`: give it as one of its `arguments`")
        if self.limits_pixels():
            raise ValueError("a class gets the images' files as they are: give `pixels` as one of its `arguments`")
        return self
