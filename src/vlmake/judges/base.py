"""What a module of this package offers: how a judge is asked about one kind of answer, and how its reply is read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"
"""The verdict on a prediction that answers with none of what may be answered."""


class Judging(Protocol):
    """How a judge is asked. A module with these names is one; ``vlmake.judges.registry`` lists them.

    Attributes:
        VERSION: Name of the prompts' wording; shown with every score. The prompts themselves are in the keys.
        SCHEMA: JSON schema of a reply, for servers that hold models to one.
    """

    VERSION: str
    SCHEMA: Mapping[str, Any]

    def prompts(self, frame: "pd.DataFrame") -> list[str | None]:
        """Return what a judge is asked about every row, as one user message; None where no judge can tell.

        ``frame`` has one row a sample that rules left open: the benchmark's columns as text with nulls, as its TSV has
        them, and ``raw``, the prediction's own text (never None).
        """

    def read(self, reply: str, row: Mapping[str, Any]) -> str | None:
        """Return the verdict in a reply about a row of that frame; None for a reply that is none: it is asked again."""

    def reminder(self, row: Mapping[str, Any]) -> str:
        """Return what is said behind the prompt when a reply was no verdict."""

    def answer(self, verdict: str, protocol: str) -> str:
        """Return a verdict as the metric compares it in a protocol."""
