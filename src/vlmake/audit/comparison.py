"""Two readings of the same responses: a judge's and another judge's, or a judge's and the rules' of each protocol."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vlmake import paths
from vlmake.audit import grades
from vlmake.audit.agreement import METHOD, kappa, plain, share
from vlmake.audit.judge_labels import GRADES, alike
from vlmake.audit.judged import Asked, Judged, Told
from vlmake.audit.labels import ABSTAIN, answer_category
from vlmake.errors import VlmakeError
from vlmake.registry.tasks import Task

_MANY = 10**9  # the rows stand for those that could come: the interval is no point though all of them are compared

RULES = "rules"
"""The key of what rules read, in a differing sample."""


def verdict_key(judge: str) -> str:
    """Return the key of a judge's verdict in a differing sample."""
    return f"by_{judge}"


class Pair(NamedTuple):
    """What two readings say of one sample, the second in the first one's words where both say the same."""

    asked: Asked
    first: str
    second: str
    about: Mapping[str, Any]

    @property
    def differs(self) -> bool:
        """Return whether they say something else."""
        return self.first != self.second


def compare_judges(one: Judged, two: Judged) -> dict[str, Any]:
    """Return how two judges' verdicts on the samples that both decided agree, and what score each one makes.

    Raises VlmakeError where there is no such sample.
    """
    names = (one.spec.judge, two.spec.judge)
    keys = (verdict_key(names[0]), verdict_key(names[1]))
    mine, others = one.decided, two.decided
    both = [index for index in mine if index in others]
    if not both:
        raise VlmakeError(f"{names[0]} and {names[1]} decided no sample both: there is nothing to compare")
    pairs = [_pair(mine[index], others[index].verdict or "", _hits(index, one, two)) for index in both]
    asked = one.asked.keys() | two.asked.keys()
    result = {
        "model": one.model,
        "dataset": one.spec.dataset,
        "judges": list(names),
        "samples": {
            "asked": len(asked),
            "both": len(both),
            "first_alone": len(mine.keys() - others.keys()),
            "second_alone": len(others.keys() - mine.keys()),
            "neither": len(asked - mine.keys() - others.keys()),
        },
        **_figures(pairs),
        "protocols": {protocol: _scores(one, two, protocol, both) for protocol in one.protocols},
    }
    return result | {"differing": [_record(pair, keys) for pair in pairs if pair.differs]}


def compare_rules(result: Judged) -> dict[str, Any]:
    """Return, protocol by protocol, what rules read in the responses that the judge decided, and whether it agrees.

    The judge is asked about what some protocol's rules left open, so another protocol's may have read it. Nothing is
    said of responses that every protocol's rules read.
    """
    decided = result.decided
    if not decided:
        raise VlmakeError(f"judge {result.spec.judge} decided nothing: there is nothing to compare")
    protocols, differing = {}, []
    for protocol, told in result.protocols.items():
        read = {index: told[index] for index in decided if told[index].found and not told[index].by_judge}
        pairs = [_pair(decided[index], _category(decided[index], one), _rule(one)) for index, one in read.items()]
        protocols[protocol] = {"left_open": len(decided) - len(read), "read": len(read)}
        if pairs:
            protocols[protocol] |= _figures(pairs)
        differing += [
            _record(pair, (verdict_key(result.spec.judge), RULES)) | {"protocol": protocol}
            for pair in pairs
            if pair.differs
        ]
    return {
        "model": result.model,
        "dataset": result.spec.dataset,
        "judge": result.spec.judge,
        "samples": {
            "rows": len(next(iter(result.protocols.values()))),
            "asked": len(result.asked),
            "decided": len(decided),
        },
        "protocols": protocols,
        "differing": differing,
    }


def scores(result: Judged, work_dir: Path, judge: str) -> dict[str, Any]:
    """Return protocol → the number by which the score file quotes the benchmark; empty where the file is not there."""
    file = work_dir / paths.score_json(result.model, result.spec.dataset, judge)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["protocols"]
        return {protocol: {name: found[protocol]["overall"][name] for name in ("name", "value")} for protocol in found}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise VlmakeError(f"{file} is damaged; delete it and score again") from None


def _pair(asked: Asked, second: str, about: Mapping[str, Any]) -> Pair:
    first = asked.verdict or ""
    return Pair(asked, first, first if alike(first, second, asked.kind) else second, about)


def _category(asked: Asked, told: Told) -> str:
    """Return what rules read, in the form of verdicts."""
    if asked.kind == "text":
        return told.answer or ABSTAIN
    task: Task = "yes_no" if asked.kind == "yes_no" else "multiple_choice"
    return answer_category(told.answer, told.found, task, tuple(asked.options))


def _rule(told: Told) -> dict[str, Any]:
    return {"rule": told.rule, "right": told.hit}


def _hits(index: str, one: Judged, two: Judged) -> dict[str, Any]:
    return {
        f"right_{protocol}": [one.protocols[protocol][index].hit, two.protocols[protocol][index].hit]
        for protocol in one.protocols
    }


def _figures(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return agreement, kappa and the table of pairs; of grades how far they are apart."""
    first, second = [pair.first for pair in pairs], [pair.second for pair in pairs]
    equal = sum(not pair.differs for pair in pairs)
    if pairs[0].asked.kind in GRADES:
        return {"equal": equal, "method": grades.METHOD, "differences": grades.differences(first, second)}
    weights = np.full(len(pairs), _MANY / len(pairs))
    closed = [(pair.first, pair.second) for pair in pairs if pair.asked.kind != "text"]
    return {
        "equal": equal,
        "method": METHOD,
        "agreement": plain(share([not pair.differs for pair in pairs], weights)),
        "kappa": plain(kappa(first, second, weights)),
        "confusion": _confusion(closed),
    }


def _confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return first reading → second reading → samples, in every row every category."""
    names = sorted({name for pair in pairs for name in pair}, key=lambda name: (name == ABSTAIN, name))
    counts = Counter(pairs)
    return {one: {two: counts[one, two] for two in names} for one in names}


def _scores(one: Judged, two: Judged, protocol: str, both: Sequence[str]) -> dict[str, Any]:
    """Return the share of right rows by each judge, and how often one alone is right where both judges decided."""
    first, second = one.protocols[protocol], two.protocols[protocol]
    pairs = Counter(
        (first[index].hit, second[index].hit) for index in both if first[index].decided and second[index].decided
    )
    found: dict[str, Any] = {"decided_by_both": pairs.total(), "right": [_mean(first), _mean(second)]}
    if all(hit in (0, 1) for pair in pairs for hit in pair):
        found |= {"first_alone_right": pairs[1, 0], "second_alone_right": pairs[0, 1]}
    return found


def _mean(told: Mapping[str, Told]) -> float | None:
    hits = [one.hit for one in told.values() if one.hit is not None]
    return sum(hits) / len(hits) if hits else None


def _record(pair: Pair, keys: tuple[str, str]) -> dict[str, Any]:
    options = "\n".join(f"{letter}. {text}" for letter, text in pair.asked.options.items())
    shown = {"index": pair.asked.index, "question": pair.asked.question, "options": options}
    return {**shown, "response": pair.asked.prediction, keys[0]: pair.first, keys[1]: pair.second, **pair.about}
