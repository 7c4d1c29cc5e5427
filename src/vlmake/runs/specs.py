"""What makes a result stale, one mapping a concern: prompts, images, scoring, and how a judge is asked."""

from dataclasses import asdict
from typing import Any

from vlmake.dataset_classes.source import class_digest
from vlmake.judges.registry import JUDGINGS, judging_of
from vlmake.models.model_spec import BenchmarkSettings
from vlmake.registry.dataset_entries import DatasetEntry, prompt_template
from vlmake.registry.loading import Registry
from vlmake.runs.run_config import ImageRoundtrip, RunConfig
from vlmake.scoring.scoring_digest import module_digest


def roundtrip_spec(image_roundtrip: ImageRoundtrip) -> dict[str, str]:
    """Return what a spec says of images that are shown in another form; nothing where they are the benchmark's own."""
    return {} if image_roundtrip == "off" else {"image_roundtrip": image_roundtrip}


def prompt_spec(entry: DatasetEntry, settings: BenchmarkSettings) -> dict[str, Any]:
    """Return what can change a prompt, of a dataset's entry and of what the model's entry says about the dataset."""
    if entry.dataset is not None:
        source = class_digest(entry.dataset, entry.python_path)
        return {"class": entry.dataset, "source": source, "pixels": dict(settings.pixels)}
    return {
        "template": asdict(prompt_template(entry)),
        "frames": asdict(settings.frames),
        "pixels": dict(settings.pixels),
    }


def scoring_settings(registry: Registry, config: RunConfig, dataset: str) -> dict[str, Any]:
    """Return how a dataset is scored, apart from the scorer's source."""
    entry = registry.dataset(dataset)
    return {"dataset": dataset, "task": entry.task, "metric": entry.metric, "protocol": config.protocol}


def judging_settings(metric: str) -> dict[str, str]:
    """Return how a judge is asked about the answers that a metric counts, with the source of that."""
    name = judging_of(metric)
    assert name is not None  # a judge has something to do with them
    return {"judging": name, "judging_source": module_digest(JUDGINGS[name])}


def entry_class_digest(entry: DatasetEntry) -> str:
    """Return the digest of the class that a benchmark is, and of what it imports beside it."""
    return class_digest(entry.dataset or "", entry.python_path)
