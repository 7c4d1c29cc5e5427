"""A judge's verdicts on one model's answers, as scoring takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Judgements:
    """A judge's verdicts by sample, and what is known about all of them: who judged, how, and what it took."""

    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fallback(self) -> str | None:
        """Why rules alone have scored although a judge was named; None where it has judged."""
        return self.about.get("fallback")
