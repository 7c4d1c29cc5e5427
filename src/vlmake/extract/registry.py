"""Which module extracts the answers of which task; modules are imported when a task is scored."""

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

from vlmake.metrics.registry import metric_entry

if TYPE_CHECKING:  # planning reads this registry, and pandas takes half a second to load
    import pandas as pd

    from vlmake.extract.answer import Extraction

EXTRACTORS = {
    "yes_no": "vlmake.extract.yes_no",
    "multiple_choice": "vlmake.extract.multiple_choice",
    "vqa": "vlmake.extract.vqa",
    "caption": "vlmake.extract.caption",
}


class Extractor(Protocol):
    """What a task's module offers; ``frame`` is the benchmark as the protocol sees it, one row a sample.

    Columns of ``frame``: those of the benchmark, ``prediction`` (text as the protocol sees it, None where the
    protocol sees none) and ``raw`` (the prediction's own text or None).
    """

    def extract(self, frame: "pd.DataFrame", protocol: str) -> "list[Extraction]":
        """Return the answer of every row."""

    def gold(self, frame: "pd.DataFrame", protocol: str) -> list[Any]:
        """Return what is right for every row, in the form that the task's metrics compare with."""


def extractor_module(metric: str) -> str:
    """Return the module that reads the answers which ``metric`` counts: its own, else its task's."""
    entry = metric_entry(metric)
    return entry.extractor or EXTRACTORS[entry.task]


def load_extractor(metric: str) -> Extractor:
    """Return the module that reads the answers which ``metric`` counts."""
    return cast(Extractor, importlib.import_module(extractor_module(metric)))
