"""A sheet of samples that a judge decided, drawn at random, to be labelled by somebody who sees no verdicts."""

import random
from typing import Any

from vlmake.audit.draw import FORMAT, Drawing, Drawn
from vlmake.audit.judge_labels import instructions
from vlmake.audit.judged import Asked, Judged
from vlmake.audit.population import Row
from vlmake.errors import VlmakeError
from vlmake.store import canonical_json, text_digest

_TASKS = {"choice": "multiple_choice", "yes_no": "yes_no"}


def draw_judged(result: Judged, samples: int, seed: int) -> Drawing:
    """Draw ``samples`` of the samples with a verdict (all, if there are fewer); equal arguments, equal drawing.

    The sample is a plain one, so that the judge's errors in it are those to be expected in all.

    Raises VlmakeError when the judge gave no verdict.
    """
    decided = list(result.decided.values())
    if not decided:
        raise VlmakeError(
            f"judge {result.spec.judge} decided none of {result.model}'s answers to {result.spec.dataset}:"
            " there is nothing to audit"
        )
    picked = random.Random(seed).sample(decided, min(samples, len(decided)))
    name = text_digest(canonical_json([dict(result.inputs), samples, seed]))[:6]
    weight = len(decided) / len(picked)
    rows = [Drawn(f"j{name}-{shown:03d}", _row(one, result), 0, weight) for shown, one in enumerate(picked, 1)]
    return Drawing(rows, {result.model: "model 1"}, _record(result, rows, picked, samples, seed))


def _row(one: Asked, result: Judged) -> Row:
    task: Any = _TASKS.get(one.kind, "vqa")
    return Row(result.model, result.spec.dataset, one.index, task, one.question, one.options, one.prediction, {})


def _record(result: Judged, rows: list[Drawn], picked: list[Asked], asked: int, seed: int) -> dict[str, Any]:
    """Return the content of the JSON file beside the sheet: everything that the person who labels should not see."""
    spec = result.spec
    return {
        "format": FORMAT,
        "judge": spec.judge,
        "model": result.model,
        "dataset": spec.dataset,
        "scoring": {name: getattr(spec, name) for name in ("task", "metric", "judging")},
        "about": {name: result.about.get(name) for name in ("identity", "settings", "wording")},
        "how_to_label": list(instructions([one.kind for one in picked])),
        "allocation": "a plain random sample of the samples about which the judge gave a verdict",
        "seed": seed,
        "samples": {"asked": asked, "drawn": len(rows)},
        "population": {"rows": len(result.decided), "left_out": result.left_out},
        "strata": [{"rows": len(result.decided), "drawn": len(rows)}],
        "inputs": dict(result.inputs),
        "rows": [
            {
                "sample": drawn.sample,
                "model": result.model,
                "dataset": spec.dataset,
                "index": one.index,
                "kind": one.kind,
                "options": list(one.options),
                "stratum": 0,
                "prediction_sha256": text_digest(one.prediction),
                "verdict": one.verdict,
            }
            for drawn, one in zip(rows, picked, strict=True)
        ],
    }
