"""The scores of a benchmark's parts become one score: their tables stacked, their samples added up.

Source: VLMEvalKit's ``ConcatDataset`` (MMMB, MTL_MMBench_DEV), which adds a column ``DATASET`` and gives no number over
all parts; ``overall`` here is the mean of the parts' numbers, each weighted with what it counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vlmake.errors import VlmakeError
from vlmake.paths import parse_dataset
from vlmake.scoring.intervals import wilson

PART_COLUMN = "DATASET"

_IDENTITY = ("judge", "identity", "settings", "judging", "wording")
_COUNTS = (
    *("open", "asked", "found", "none", "unresolved", "judge_error"),
    *("requests", "prompt_tokens", "completion_tokens"),
)


def stack_scores(dataset: str, protocol: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of ``_score.json`` for a benchmark whose parts have these (without provenance).

    Raises VlmakeError for parts that were not scored by the same metric and protocols.
    """
    known = [(part["metric"], part["judge"], list(part["protocols"])) for part in parts]
    if any(how != known[0] for how in known) or protocol not in parts[0]["protocols"]:
        raise VlmakeError(f"dataset '{dataset}': its parts were not scored alike; delete their scores and run again")
    protocols = {
        name: _stacked([(parse_dataset(part["dataset"]).base, part["protocols"][name]) for part in parts])
        for name in parts[0]["protocols"]
    }
    judging = _judging(
        [(parse_dataset(part["dataset"]).base, part["judging"]) for part in parts if part.get("judging")]
    )
    notes = [f"{parse_dataset(part['dataset']).base}: {note}" for part in parts for note in part.get("notes", ())]
    return {
        "dataset": dataset,
        "metric": parts[0]["metric"],
        "protocol": protocol,
        "judge": parts[0]["judge"],
        "parts": [part["dataset"] for part in parts],
        "protocols": protocols,
        "samples": _added([part["samples"] for part in parts]),
        **({"judging": judging} if judging else {}),
        **({"notes": notes} if notes else {}),
    }


def _stacked(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    columns = list(dict.fromkeys(name for _, numbers in parts for name in numbers["columns"]))
    rows = [
        [*(dict(zip(numbers["columns"], row, strict=True)).get(name) for name in columns), part]
        for part, numbers in parts
        for row in numbers["rows"]
    ]
    overall = [numbers["overall"] for _, numbers in parts]
    accuracy = _weighted([(numbers["accuracy"]["value"], numbers["accuracy"]["n"]) for _, numbers in parts])
    units = sum(numbers["accuracy"]["n"] for _, numbers in parts)
    interval = wilson(accuracy, units) if accuracy is not None else None
    missing = [f"{part}: {category}" for part, numbers in parts for category in numbers.get("missing", ())]
    return {
        "columns": [*columns, PART_COLUMN],
        "rows": rows,
        "overall": {
            "name": overall[0]["name"],
            "value": _weighted([(part["value"], part["n"]) for part in overall]),
            "n": sum(part["n"] for part in overall),
        },
        "accuracy": {
            "value": accuracy,
            "n": units,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "method": "wilson-95",
        },
        "bounds": [
            _weighted([(numbers["bounds"][end], numbers["accuracy"]["n"]) for _, numbers in parts]) for end in (0, 1)
        ],
        "extraction": _added([numbers["extraction"] for _, numbers in parts]),
        **({"missing": missing} if missing else {}),
    }


def _weighted(values: Sequence[tuple[float | None, int]]) -> float | None:
    """Return the mean of (value, weight) pairs; None for no weight or a value that is not known."""
    total = sum(weight for _, weight in values)
    if not total or any(value is None and weight for value, weight in values):
        return None
    return sum(value * weight for value, weight in values if value is not None) / total


def _added(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return numbers added up by name, in nested mappings as well; a name that a mapping lacks counts 0 there."""
    added: dict[str, Any] = {}
    for name in dict.fromkeys(name for part in counts for name in part):
        values = [part[name] for part in counts if name in part]
        added[name] = _added(values) if isinstance(values[0], Mapping) else sum(values)
    return added


def _judging(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what judging the parts took and came to, added up; empty where no judge took part.

    Who judged and how is the first part's that knows it. Rules that stood in for the judge in some part are told.
    """
    if not parts:
        return {}
    told = [judging for _, judging in parts]
    known = {name: next((one[name] for one in told if name in one), None) for name in _IDENTITY}
    asked = [one for one in told if one.get("fallback") is None]
    added: dict[str, Any] = {name: sum(one.get(name, 0) for one in asked) for name in _COUNTS} if asked else {}
    costs = [one["cost"] for one in asked if one.get("cost") is not None]
    agreements = [one["self_agreement"] for one in asked if one.get("self_agreement") is not None]
    fallback = _fallback([(part, one["fallback"]) for part, one in parts if one.get("fallback") is not None])
    return {
        **{name: value for name, value in known.items() if value is not None},
        **added,
        "cost": sum(costs) if costs else None,
        "self_agreement": _added(agreements) if agreements else None,
        **({"fallback": fallback} if fallback else {}),
    }


def _fallback(reasons: Sequence[tuple[str, str]]) -> str:
    """Return in which parts rules stood in for the judge and why, parts with the same reason together."""
    parts_by_reason: dict[str, list[str]] = {}
    for part, reason in reasons:
        parts_by_reason.setdefault(reason, []).append(part)
    return "; ".join(
        f"rules stood in for {'part' if len(parts) == 1 else 'parts'} {', '.join(parts)}: {reason}"
        for reason, parts in parts_by_reason.items()
    )
