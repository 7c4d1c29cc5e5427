"""A judge as what it is to the rest of the program: a model that is asked."""

from dataclasses import dataclass

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.inference.shard import Asking
from vlmake.models import model_spec
from vlmake.models.model_spec import ModelSpec
from vlmake.registry.judge_entries import Judge, JudgeEndpointEntry


@dataclass(frozen=True)
class JudgeSpec(ModelSpec):
    """A judge of which it is known what answers; its locks, logs and journals lie apart from those of models."""

    @property
    def home(self) -> str:
        """The folder under ``results/`` of its locks and logs."""
        return paths.judge_home(self.name)

    @property
    def journals(self) -> str:
        """The journals with all that it ever replied, as a pattern of paths."""
        return paths.judge_journal("*", "*", self.name)

    @property
    def max_new_tokens(self) -> int:
        """Longest reply, in tokens."""
        return self.entry.max_new_tokens

    @property
    def may_be_structured(self) -> bool:
        """Whether its server may be asked to hold replies to a JSON schema."""
        entry: Judge = self.entry  # type: ignore[assignment]  # a judge's spec has a judge's entry
        return entry.structured == "auto"

    def asking(self) -> Asking:
        """Return how it is asked."""
        return Asking(self.digest(), self.max_new_tokens)


def check_price(name: str, entry: Judge, max_cost: float | None) -> None:
    """Raise VlmakeError for a limit on money without a price to count by."""
    if max_cost is not None and isinstance(entry, JudgeEndpointEntry) and entry.price is None:
        raise VlmakeError(
            f"max_judge_cost needs the price of judge '{name}': price: {{input: ..., output: ...}} in its entry"
        )


def resolve(name: str, entry: Judge, max_cost: float | None = None) -> JudgeSpec:
    """Return what answers for a judge, asked for no more than ``max_cost`` (as the entry's own, whichever is less).

    Raises VlmakeError for a limit on money without a price to count by, and for a checkpoint that cannot be had.
    """
    check_price(name, entry, max_cost)
    if max_cost is not None and isinstance(entry, JudgeEndpointEntry):
        entry = entry.model_copy(update={"max_cost": min(max_cost, entry.max_cost or max_cost)})
    spec = model_spec.resolve(name, entry)
    return JudgeSpec(spec.name, spec.entry, spec.folder, spec.identity)
