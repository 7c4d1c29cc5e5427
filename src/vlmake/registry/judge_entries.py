"""What a judge's entry may say: a judge is a model behind a server that is asked by texts alone, always greedily."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from vlmake.registry.entry import Entry
from vlmake.registry.model_entries import EndpointEntry, ServerEntry

AUTO = "auto"
EXACT = "exact"
OWN = "own"
"""Every benchmark's own judge, as its entry names it."""

WAYS = (AUTO, EXACT, OWN, "exact_matching")
"""What ``judge`` may be beside a judge's name; the last is VLMEvalKit's word for nobody."""

_NOT_FOR_JUDGES = (
    *("pixels", "benchmarks", "max_images", "img_size", "img_detail", "system", "top_p", "batch_size"),
    *("environment", "run_in"),
)


def _greedy(temperature: float | None) -> float | None:
    if temperature:
        raise ValueError("a judge that draws lots is none: write 0, or `none` for a server that takes none")
    return temperature


class JudgeEntry(Entry):
    """What every judge's entry has beside the keys of a served model."""

    structured: Literal["auto", "off"] = Field(
        "auto", description="auto: replies are held to a JSON schema where the server can do that."
    )

    @model_validator(mode="before")
    @classmethod
    def _asked_by_texts(cls, values: Any) -> Any:
        given = [key for key in _NOT_FOR_JUDGES if isinstance(values, dict) and values.get(key) is not None]
        if given:
            raise ValueError(f"a judge is asked by texts of vlmake's own: leave `{given[0]}` out")
        extra = values.get("extra_body") if isinstance(values, dict) else None
        if isinstance(extra, dict) and (taken := sorted({"n", "response_format", "seed"} & extra.keys())):
            raise ValueError(f"`{taken[0]}` is not for a judge's extra_body: it is asked greedily, and once")
        return values


class JudgeEndpointEntry(EndpointEntry, JudgeEntry):
    """A judge behind an OpenAI-compatible server that runs somewhere."""

    backend: Literal["endpoint"] = "endpoint"
    api_key: str | None = Field("OPENAI_API_KEY", description="NAME of the variable with the key.")
    api_base: str = Field("", description="The server's root or full URL; else $OPENAI_API_BASE, else OpenAI's own.")
    served_model: str = Field("", description="The model's id on the server; else the first that it lists.")
    served_model_variable: str | None = Field(None, description="NAME of the variable with the model's id.")
    max_new_tokens: int = Field(1024, ge=1, description="Longest reply, with what the judge thinks before it.")

    _temperature = field_validator("temperature")(_greedy)


class JudgeServerEntry(ServerEntry, JudgeEntry):
    """A judge that the job serves for itself."""

    backend: Literal["server"]
    first_question: Literal["picture", "text"] = "text"
    max_new_tokens: int = Field(1024, ge=1, description="Longest reply, with what the judge thinks before it.")

    _temperature = field_validator("temperature")(_greedy)


Judge = JudgeEndpointEntry | JudgeServerEntry
