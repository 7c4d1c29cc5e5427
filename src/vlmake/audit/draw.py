"""A stratified sample of predictions, with the weight that makes estimates from it hold for all of them.

Strata are dataset, model, the strict protocol's rule, whether it found an answer, and whether the protocols agree:
rules that fire seldom and disagreements are where extraction goes wrong, and a plain sample of a hundred would miss
them.
"""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from vlmake.audit.labels import INSTRUCTIONS
from vlmake.audit.population import Population, Row
from vlmake.errors import VlmakeError
from vlmake.store import canonical_json, text_digest

FORMAT = 1
"""Version of the JSON file beside a sheet."""

ALLOCATION = (
    "every stratum one row, the others in proportion to the strata's sizes (largest remainder); with more strata than "
    "samples the smallest strata are drawn from as one. A row's weight is its stratum's rows over its drawn rows."
)


class Stratum(NamedTuple):
    """Rows that are drawn from together: their keys (``Row.stratum``) and their places in the population."""

    keys: tuple[tuple[str, str, str, bool, bool], ...]
    places: tuple[int, ...]


class Drawn(NamedTuple):
    """A row of the sheet: its name there, the row, the number of its stratum and its weight."""

    sample: str
    row: Row
    stratum: int
    weight: float


class Drawing(NamedTuple):
    """A sheet's rows in the order in which they are shown, and what belongs to the file beside it."""

    rows: list[Drawn]
    models: dict[str, str]
    record: dict[str, Any]


def draw(population: Population, samples: int, seed: int) -> Drawing:
    """Draw ``samples`` rows (all, if there are fewer); equal arguments give an equal drawing.

    Raises VlmakeError when there is nothing to draw from.
    """
    if not population.rows:
        left_out = ", ".join(f"{count} {reason}" for reason, count in population.left_out.items())
        raise VlmakeError(f"there is no prediction to audit ({left_out or 'no rows'})")
    strata = form_strata([row.stratum for row in population.rows], samples)
    counts = allocate([len(stratum.places) for stratum in strata], samples)
    numbers = random.Random(seed)
    picked = [
        (place, number, len(stratum.places) / count)
        for number, (stratum, count) in enumerate(zip(strata, counts, strict=True))
        for place in numbers.sample(stratum.places, count)
    ]
    numbers.shuffle(picked)
    name = text_digest(canonical_json([population.inputs, samples, seed]))[:6]
    rows = [
        Drawn(f"s{name}-{shown:03d}", population.rows[place], number, weight)
        for shown, (place, number, weight) in enumerate(picked, 1)
    ]
    models = {
        model: f"model {number}" for number, model in enumerate(dict.fromkeys(row.model for row in population.rows), 1)
    }
    return Drawing(rows, models, _record(population, strata, counts, rows, samples, seed))


def form_strata(keys: Sequence[tuple[str, str, str, bool, bool]], most: int) -> list[Stratum]:
    """Return at most ``most`` strata, sorted by key; those that would be too many are the smallest, in one."""
    places: dict[tuple[str, str, str, bool, bool], list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    strata = [Stratum((key,), tuple(places[key])) for key in sorted(places)]
    if len(strata) <= most:
        return strata
    by_size = sorted(strata, key=lambda stratum: (-len(stratum.places), stratum.keys))
    alone, small = by_size[: most - 1], sorted(by_size[most - 1 :])
    pooled = Stratum(
        tuple(stratum.keys[0] for stratum in small), tuple(place for stratum in small for place in stratum.places)
    )
    return [*sorted(alone), pooled]


def allocate(sizes: Sequence[int], samples: int) -> list[int]:
    """Return how many rows each stratum gives: at least one, else in proportion, never more than it has.

    Strata whose share is below one get one; what remains is divided among the others in proportion to their sizes, by
    largest remainder. There are at least as many samples as strata.
    """
    samples = min(samples, sum(sizes))
    counts = [1] * len(sizes)
    large = list(range(len(sizes)))
    while True:
        remaining = samples - (len(sizes) - len(large))
        total = sum(sizes[number] for number in large)
        small = {number for number in large if remaining * sizes[number] < total}
        if not small:
            break
        large = [number for number in large if number not in small]
    for number in large:
        counts[number] = remaining * sizes[number] // total
    missing = samples - sum(counts)
    for number in sorted(large, key=lambda number: (-(remaining * sizes[number] % total), number))[:missing]:
        counts[number] += 1
    return counts


def _record(
    population: Population,
    strata: Sequence[Stratum],
    counts: Sequence[int],
    rows: Sequence[Drawn],
    asked: int,
    seed: int,
) -> dict[str, Any]:
    """Return the content of the JSON file beside the sheet: everything that the person who labels should not see."""
    names = ("dataset", "model", "rule", "found", "protocols_agree")
    return {
        "format": FORMAT,
        "how_to_label": list(INSTRUCTIONS),
        "allocation": ALLOCATION,
        "seed": seed,
        "samples": {"asked": asked, "drawn": len(rows)},
        "population": {"rows": len(population.rows), "left_out": population.left_out},
        "inputs": population.inputs,
        "strata": [
            {
                "strata": [dict(zip(names, key, strict=True)) for key in stratum.keys],
                "rows": len(stratum.places),
                "drawn": count,
            }
            for stratum, count in zip(strata, counts, strict=True)
        ],
        "rows": [
            {
                "sample": drawn.sample,
                "model": drawn.row.model,
                "dataset": drawn.row.dataset,
                "index": drawn.row.index,
                "task": drawn.row.task,
                "options": list(drawn.row.options),
                "stratum": drawn.stratum,
                "weight": drawn.weight,
                "prediction_sha256": text_digest(drawn.row.prediction),
                "readings": readings_record(drawn.row),
            }
            for drawn in rows
        ],
    }


def readings_record(row: Row) -> dict[str, dict[str, Any]]:
    """Return protocol → what it read, as the JSON file has it."""
    return {protocol: reading._asdict() for protocol, reading in row.readings.items()}
