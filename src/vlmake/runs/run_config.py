"""What to run: the typed content of ``config/config.yaml``, with overrides from the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vlmake import paths
from vlmake.data.hubs import Hub
from vlmake.registry.entry import Texts
from vlmake.registry.layers import read_yaml
from vlmake.registry.loading import Registry, validate

Protocol = Literal["vlmevalkit-main", "vlmevalkit-ms", "strict"]
ImageRoundtrip = Literal["off", "vlmevalkit"]


class RunConfig(BaseModel):
    """Models × datasets, and everything about a run that no single entry says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Texts = Field((), description="Names of models to evaluate.")
    datasets: Texts = Field((), description="Names of datasets, each with an optional row limit such as MME@20.")
    protocol: Protocol = Field("vlmevalkit-main", description="Which protocol `_score.csv` shows.")
    image_roundtrip: ImageRoundtrip = Field(
        "off", description="off: models get the benchmark's own images; vlmevalkit: as VLMEvalKit saves them again."
    )
    limit: int | None = Field(None, ge=1, description="First rows only, for every dataset named without a limit.")
    rows_per_shard: int | None = Field(None, ge=1, description="Rows of one inference job, instead of the entry's.")
    max_failures: int = Field(0, ge=0, description="How many failed samples a finished inference may hold.")
    judge: str = Field("auto", description="auto, exact (nobody), own (each benchmark's own judge) or a judge's name.")
    judge_fallback: Literal["none", "exact"] = Field(
        "none", description="exact: where a judge does not answer, rules alone score, and the score says so."
    )
    max_judge_cost: float | None = Field(None, gt=0, description="Money after which a judge is asked no more.")
    self_agreement: float = Field(0.0, ge=0, le=1, description="Share of samples that a judge is asked about twice.")
    data_dir: str = Field(
        "data", pattern=r"^[^{}]+$", description="Where decoded benchmarks lie, relative to the work directory."
    )
    lmu_data: str | None = Field(None, description="Where published TSVs lie; else $LMUData, else ~/LMUData.")
    hub: Hub = Field("hf", description="Where checkpoints come from; path: only from local folders.")
    model_cache: str | None = Field(None, description="Where converted checkpoints lie; else the user's cache.")
    registry: Texts = Field((), description="More registry folders; later ones win.")


def load_config(overrides: Mapping[str, Any], files: Sequence[Path]) -> RunConfig:
    """Return the run's configuration: shipped file, then the given files, then overrides, key by key.

    Raises VlmakeError naming the file and the key; misspelt keys get "did you mean".
    """
    merged: dict[str, Any] = {}
    for file in dict.fromkeys(file.resolve() for file in files):
        content = read_yaml(file) or {}
        validate(RunConfig, content, str(file))
        merged |= content
    return validate(RunConfig, merged | dict(overrides), "configuration")


def config_files(current: Path | None = None) -> list[Path]:
    """Return the shipped configuration and, if there is one, that of the current folder."""
    here = (current or Path.cwd()) / "config" / "config.yaml"
    return [paths.product_root() / "config" / "config.yaml", *([here] if here.is_file() else [])]


def configured_pairs(config: RunConfig, registry: Registry) -> list[tuple[str, str]]:
    """Return every (model, dataset) to evaluate, by registered name and with the row limit applied."""
    models = dict.fromkeys(registry.resolve_model(name) for name in config.models)
    datasets = dict.fromkeys(limited(registry.resolve_dataset(name), config.limit) for name in config.datasets)
    return [(model, dataset) for model in models for dataset in datasets]


def limited(dataset: str, limit: int | None) -> str:
    """Return the dataset's name with the run's row limit, unless it carries one of its own."""
    parsed = paths.parse_dataset(dataset)
    return str(paths.LimitedName(parsed.base, parsed.limit or limit))
