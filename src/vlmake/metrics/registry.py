"""Every metric: the module that computes it and the task whose answers it counts.

A new metric is a module with a ``METRIC`` and a line here. Modules are imported when they are needed.
"""

import importlib
from typing import TYPE_CHECKING, NamedTuple, cast

from vlmake.errors import VlmakeError, did_you_mean

if TYPE_CHECKING:
    from vlmake.metrics.base import Metric


class Entry(NamedTuple):
    """Where a metric lives and which task's extractor feeds it."""

    module: str
    task: str


METRICS = {
    "mme": Entry("vlmake.metrics.mme", "yes_no"),
    "pope": Entry("vlmake.metrics.pope", "yes_no"),
    "hallusion": Entry("vlmake.metrics.hallusion", "yes_no"),
    "amber": Entry("vlmake.metrics.amber", "yes_no"),
    "vsr": Entry("vlmake.metrics.vsr", "yes_no"),
    "yes_no": Entry("vlmake.metrics.yes_no", "yes_no"),
    "choice": Entry("vlmake.metrics.choice", "multiple_choice"),
    "choice_circular": Entry("vlmake.metrics.choice_circular", "multiple_choice"),
    "vqa_exact": Entry("vlmake.metrics.vqa_exact", "vqa"),
}


def metric_entry(name: str) -> Entry:
    """Return the registry's line for metric ``name``; VlmakeError when there is none."""
    if name not in METRICS:
        raise VlmakeError(f"unknown metric '{name}'{did_you_mean(name, METRICS)}; known: {', '.join(METRICS)}")
    return METRICS[name]


def load_metric(name: str) -> "Metric":
    """Import and return metric ``name``; VlmakeError when there is none."""
    return cast("Metric", importlib.import_module(metric_entry(name).module).METRIC)
