"""Every metric: the module that computes it and the task whose answers it counts.

A new metric is a module with a ``METRIC`` and a line here. Modules are imported when they are needed.
"""

import importlib
from typing import TYPE_CHECKING, NamedTuple, cast

from vlmake.errors import VlmakeError, did_you_mean

if TYPE_CHECKING:
    from vlmake.metrics.base import Metric


class Entry(NamedTuple):
    """Where a metric lives and what feeds it.

    Attributes:
        module: The module with its ``METRIC``.
        task: Whose answers it counts.
        extractor: The module that reads the answers, where that is not the task's own.
        columns: Columns of the benchmark that it reads beside those that every rule reads.
        grader: The LLM judge that must grade every answer before it can be counted; empty where rules suffice.
    """

    module: str
    task: str
    extractor: str = ""
    columns: tuple[str, ...] = ()
    grader: str = ""


METRICS = {
    "mme": Entry("vlmake.metrics.mme", "yes_no"),
    "pope": Entry("vlmake.metrics.pope", "yes_no"),
    "hallusion": Entry("vlmake.metrics.hallusion", "yes_no"),
    "amber": Entry("vlmake.metrics.amber", "yes_no"),
    "vsr": Entry("vlmake.metrics.vsr", "yes_no"),
    "yes_no": Entry("vlmake.metrics.yes_no", "yes_no"),
    "yes_no_any_case": Entry("vlmake.metrics.yes_no", "yes_no", extractor="vlmake.extract.yes_no_any_case"),
    "choice": Entry("vlmake.metrics.choice", "multiple_choice"),
    "choice_circular": Entry("vlmake.metrics.choice_circular", "multiple_choice"),
    "mmmu": Entry("vlmake.metrics.mmmu", "multiple_choice", extractor="vlmake.extract.mmmu"),
    "mmmu_reasoned": Entry("vlmake.metrics.mmmu", "multiple_choice", extractor="vlmake.extract.mmmu_reasoned"),
    "mmt_bench": Entry("vlmake.metrics.mmt_bench", "multiple_choice"),
    "mmvp": Entry("vlmake.metrics.mmvp", "multiple_choice"),
    "gmai": Entry(
        "vlmake.metrics.gmai",
        "multiple_choice",
        columns=("clinical vqa task", "department", "perceptual granularity"),
    ),
    "vqa_exact": Entry("vlmake.metrics.vqa_exact", "vqa"),
    "vqa_exact_mean": Entry("vlmake.metrics.vqa_exact_mean", "vqa"),
    "vqa_accuracy": Entry("vlmake.metrics.vqa_accuracy", "vqa"),
    "vizwiz": Entry(
        "vlmake.metrics.vqa_vizwiz", "vqa", extractor="vlmake.extract.vqa_annotators", columns=("answers",)
    ),
    "relaxed_accuracy": Entry("vlmake.metrics.relaxed_accuracy", "vqa"),
    "anls": Entry("vlmake.metrics.anls", "vqa"),
    "ocrbench": Entry("vlmake.metrics.ocrbench", "vqa"),
    "mtvqa": Entry("vlmake.metrics.mtvqa", "vqa", extractor="vlmake.extract.vqa_single"),
    "vcr_en": Entry("vlmake.metrics.vcr_en", "vqa"),
    "vcr_zh": Entry("vlmake.metrics.vcr_zh", "vqa"),
    "coco_caption": Entry("vlmake.metrics.coco_caption", "caption"),
    "mathvista": Entry(
        "vlmake.metrics.mathvista",
        "vqa",
        extractor="vlmake.extract.mathvista",
        columns=("question_type", "answer_type", "choices", "answer_option", "precision", "task", "skills"),
        grader="mathvista",
    ),
    "mathvision": Entry(
        "vlmake.metrics.mathvision",
        "vqa",
        extractor="vlmake.extract.mathvision",
        columns=("choices",),
        grader="mathvision",
    ),
    "mmvet": Entry("vlmake.metrics.mmvet", "vqa", extractor="vlmake.extract.left_to_judge", grader="mmvet"),
    "llavabench": Entry(
        "vlmake.metrics.llavabench",
        "vqa",
        extractor="vlmake.extract.left_to_judge",
        columns=("gpt4_ans",),
        grader="llavabench",
    ),
}


def metric_entry(name: str) -> Entry:
    """Return the registry's line for metric ``name``; VlmakeError when there is none."""
    if name not in METRICS:
        raise VlmakeError(f"unknown metric '{name}'{did_you_mean(name, METRICS)} (known: {', '.join(METRICS)})")
    return METRICS[name]


def load_metric(name: str) -> "Metric":
    """Import and return metric ``name``; VlmakeError when there is none."""
    return cast("Metric", importlib.import_module(metric_entry(name).module).METRIC)
