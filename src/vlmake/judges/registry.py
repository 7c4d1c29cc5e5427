"""Which module holds which judge, by the judge's name."""

import importlib
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import pandas as pd

    from vlmake.extract.answer import Extraction

JUDGES = {"exact_matching": "vlmake.judges.exact_matching"}


class Judge(Protocol):
    """What a judge's module offers."""

    def settle(self, frame: "pd.DataFrame", protocol: str, extractions: "list[Extraction]") -> "list[Extraction]":
        """Return the extractions, unresolved ones settled where the judge can; ``frame`` is as extractors see it."""


def load_judge(name: str) -> Judge:
    """Return the judge called ``name``."""
    return cast(Judge, importlib.import_module(JUDGES[name]))
