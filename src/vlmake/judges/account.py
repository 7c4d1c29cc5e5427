"""What judging took and came to, as scores and people are told it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vlmake.endpoints.spending import Price
from vlmake.judges.asking import Judgement
from vlmake.judges.base import NONE, Judging
from vlmake.judges.judge_spec import JudgeSpec
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.scoring.protocols import ScoringSpec


def costs(judgements: Sequence[Judgement], judge: JudgeSpec) -> dict[str, float | None]:
    """Return the money that each sample's judgement took, by index; None without a price or token counts."""
    price = _price(judge)
    return {one.index: _cost(one, price) for one in judgements}


def about(
    judgements: Sequence[Judgement],
    again: Sequence[Judgement],
    judge: JudgeSpec,
    judging: Judging,
    spec: ScoringSpec,
    left_open: int,
) -> dict[str, Any]:
    """Return who judged, how, how much, and how often it agreed with itself.

    ``left_open`` counts the samples that rules left open; of some of them no judge can tell anything.
    """
    price = _price(judge)
    asked = {one.key: one for one in (*judgements, *again)}.values()  # samples with one prompt share a reply
    known = [cost for cost in (_cost(one, price) for one in asked) if cost is not None]
    statuses = Counter(one.status for one in judgements)
    return {
        "judge": judge.name,
        "identity": judge.identity,
        "settings": judge.settings(),
        "judging": spec.judging,
        "wording": judging.VERSION,
        "open": left_open,
        "asked": len(judgements),
        "found": statuses["found"],
        "none": sum(one.verdict == NONE for one in judgements),
        "unresolved": statuses["unresolved"],
        "judge_error": statuses["judge_error"],
        "requests": sum(one.asks for one in asked),
        "prompt_tokens": sum(one.prompt_tokens or 0 for one in asked),
        "completion_tokens": sum(one.completion_tokens or 0 for one in asked),
        "cost": sum(known) if known else None,
        "self_agreement": _agreement(judgements, again),
    }


def _agreement(judgements: Sequence[Judgement], again: Sequence[Judgement]) -> Mapping[str, int] | None:
    """Return how many second verdicts there are and how many equal the first; None where nothing was asked twice.

    Failed calls, the first ones and the second ones, say nothing of the judge and do not count.
    """
    if not again:
        return None
    first = {one.index: one.verdict for one in judgements if one.status != "judge_error"}
    both = [one for one in again if one.status != "judge_error" and one.index in first]
    return {"asked": len(both), "equal": sum(first[one.index] == one.verdict for one in both)}


def _price(judge: JudgeSpec) -> Price | None:
    entry = judge.entry
    if not isinstance(entry, JudgeEndpointEntry) or entry.price is None:
        return None
    return Price(entry.price.input, entry.price.output)


def _cost(one: Judgement, price: Price | None) -> float | None:
    if price is None or (one.prompt_tokens is None and one.completion_tokens is None):
        return None
    return price.of(one.prompt_tokens or 0, one.completion_tokens or 0)
