"""Which module asks a judge about which answers, by name.

A new kind of judging is a module as ``judges.base`` describes and a line here.
"""

import importlib
from typing import TYPE_CHECKING, cast

from vlmake.metrics.registry import metric_entry

if TYPE_CHECKING:
    from vlmake.judges.base import Judging

JUDGINGS = {
    "choice": "vlmake.judges.kinds.choice",
    "yes_no": "vlmake.judges.kinds.yes_no",
    "mathvista": "vlmake.judges.kinds.mathvista",
    "mathvision": "vlmake.judges.kinds.mathvision",
    "mmvet": "vlmake.judges.kinds.mmvet",
    "llavabench": "vlmake.judges.kinds.llavabench",
}

_OF_TASKS = {"multiple_choice": "choice", "yes_no": "yes_no"}


def judging_of(metric: str) -> str | None:
    """Return how a judge is asked about the answers that ``metric`` counts; None where rules leave it nothing to do."""
    entry = metric_entry(metric)
    return entry.grader or _OF_TASKS.get(entry.task)


def load_judging(name: str) -> "Judging":
    """Return the module that asks."""
    return cast("Judging", importlib.import_module(JUDGINGS[name]))
