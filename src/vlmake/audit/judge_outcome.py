"""What a labelled sheet says of a judge: agreement, kappa, and the score freed of its errors; as values and lines."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from vlmake.audit import agreement, correction, grades
from vlmake.audit.agreement import kappa, label_weights, plain, share
from vlmake.audit.correction import Cells, Tally, correct
from vlmake.audit.judge_labels import GRADES, alike
from vlmake.audit.judged import Judged, Told
from vlmake.audit.outcome import Labels, annotator_lines, between
from vlmake.audit.shown import number, percent, row_name, share_percent, table_lines
from vlmake.errors import VlmakeError, counted
from vlmake.store import text_digest

Hits = Mapping[str, Mapping[str, float | None]]


def labelled_rows(
    record: Mapping[str, Any], labels: Labels, present: Judged, current: bool
) -> tuple[list[dict[str, Any]], int]:
    """Return the labelled rows with the verdicts to compare, and how many have no verdict any more.

    A label holds as long as the prediction does. ``current`` takes the present verdicts where they are others than at
    drawing.

    Raises:
        VlmakeError: Nothing is labelled; another prediction, or another verdict without ``current``.
    """
    rows, gone = [], 0
    for row in record["rows"]:
        if row["sample"] not in labels:
            continue
        asked = present.asked.get(row["index"])
        if asked is not None and text_digest(asked.prediction) != row["prediction_sha256"]:
            raise VlmakeError(
                f"index '{row['index']}' of {row['dataset']} by {row['model']} has another prediction than when the"
                " sheet was drawn: its label says nothing of it; draw a new sheet"
            )
        verdict = asked.verdict if asked else None
        if verdict != row["verdict"] and not current:
            raise VlmakeError(
                f"index '{row['index']}' of {row['dataset']} by {row['model']} has another verdict than when the sheet"
                " was drawn; --current compares what the judge says now, or draw a new sheet"
            )
        if verdict is None:
            gone += 1
        else:
            rows.append({**row, "verdict": verdict, "label": labels[row["sample"]]})
    if not rows and gone:
        raise VlmakeError("the judge has no verdict on any labelled row now; draw a new sheet")
    if not rows:
        raise VlmakeError("no row has a label: fill in the column 'label', then give the same command again")
    return rows, gone


def judge_outcome(
    record: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    gone: int,
    sheets: Mapping[str, Labels],
    present: Judged,
    hits: Hits,
) -> dict[str, Any]:
    """Return the figures of a labelled sheet.

    Args:
        record: The content of the JSON file beside the sheet.
        rows: The labelled rows (``labelled_rows``).
        gone: Labelled rows without a verdict now.
        sheets: By sheet: sample → label.
        present: What the judge decided.
        hits: How right the labels are (``judged.hits_of``); of grades nothing is read.
    """
    graded = rows[0]["kind"] in GRADES
    population = len(present.decided)
    result = {
        "judge": record["judge"],
        "model": record["model"],
        "dataset": record["dataset"],
        "about": record["about"],
        "labelled": len(rows),
        "not_labelled": len(record["rows"]) - len(rows) - gone,
        "without_verdict_now": gone,
        "decided": population,
        "left_out": present.left_out,
    }
    if graded:
        differences = grades.differences([row["verdict"] for row in rows], [row["label"] for row in rows])
        result |= {"method": grades.METHOD, "differences": differences, "no_correction": grades.NO_CORRECTION}
    else:
        said = [_as_said(row, hits) for row in rows]
        weights = label_weights([0] * len(rows), [population])
        verdicts = [row["verdict"] for row in rows]
        result |= {
            "method": f"{agreement.METHOD}; {correction.METHOD}",
            "agreement": plain(share([one == two for one, two in zip(verdicts, said, strict=True)], weights)),
            "kappa": plain(kappa(verdicts, said, weights)),
            "disagreements": [
                {name: row[name] for name in ("sample", "dataset", "model", "index", "label", "verdict")}
                for row, label in zip(rows, said, strict=True)
                if row["verdict"] != label
            ],
            "protocols": {
                protocol: _corrected(rows, told, hits[protocol]) for protocol, told in present.protocols.items()
            },
        }
    pairs = [_pair(record, one, two, sheets, graded) for one, two in combinations(sheets, 2)]
    return result | ({"annotators": pairs} if pairs else {})


def _as_said(row: Mapping[str, Any], hits: Hits) -> str:
    """Return a row's label, or the verdict where both say the same in other words."""
    verdict, label = str(row["verdict"]), str(row["label"])
    return verdict if alike(verdict, label, row["kind"]) else label


def _corrected(
    rows: Sequence[Mapping[str, Any]], told: Mapping[str, Told], label_hits: Mapping[str, float | None]
) -> dict[str, Any]:
    """Return a protocol's sheet, observed shares and corrected ones, or why there are none."""
    judged = [one.hit for one in told.values() if one.decided and one.hit is not None]
    rest = [one.hit for one in told.values() if not one.decided and one.hit is not None]
    labelled = [row["index"] for row in rows if told[row["index"]].decided]
    pairs = [(told[index].hit, label_hits[index]) for index in labelled]
    found: dict[str, Any] = {
        "decided": len(judged),
        "labelled": len(pairs),
        "observed": {"judged": _share(judged), "score": _share([*judged, *rest])},
    }
    if not judged:
        return found | {"no_correction": "the judge decided nothing here: rules read every answer"}
    if any(hit not in (0, 1) for hit in (*judged, *(hit for pair in pairs for hit in pair))):
        return found | {"no_correction": "answers here are more or less right, and not right or wrong"}
    sheet = Cells(*(pairs.count(cell) for cell in ((1, 1), (1, 0), (0, 1), (0, 0))))
    found["sheet"] = sheet._asdict()
    try:
        corrected = correct(sheet, Tally(len(judged), int(sum(judged))), Tally(len(rest), round(sum(rest))))
    except VlmakeError as error:
        return found | {"no_correction": str(error)}
    return found | {"corrected": correction.plain(corrected)}


def _share(hits: Sequence[float]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def _pair(record: Mapping[str, Any], one: str, two: str, sheets: Mapping[str, Labels], graded: bool) -> dict[str, Any]:
    """Return how two people's labels agree."""
    first, second = sheets[one], sheets[two]
    if not graded:
        return {
            "sheets": [one, two],
            **between(record["rows"], [record["population"]["rows"]], first, second, _who(one, two)),
        }
    both = [row["sample"] for row in record["rows"] if row["sample"] in first and row["sample"] in second]
    if not both:
        raise VlmakeError(f"{_who(one, two)}: no row has a label in both sheets: there is nothing to compare")
    differences = grades.differences([first[sample] for sample in both], [second[sample] for sample in both])
    return {"sheets": [one, two], "labelled_by_both": len(both), "differences": differences}


def _who(one: str, two: str) -> str:
    return f"{one} and {two}"


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures as lines for a terminal."""
    yield (
        f"judge {result['judge']} on {result['model']}, {result['dataset']}:"
        f" {counted(result['labelled'], 'row')} labelled, {result['not_labelled']} not; they stand for"
        f" {counted(result['decided'], 'row')} with a verdict"
    )
    if left_out := ", ".join(f"{count} {reason}" for reason, count in result["left_out"].items()):
        yield f"not part of it: {left_out}"
    if result["without_verdict_now"]:
        yield f"{counted(result['without_verdict_now'], 'labelled row')} without a verdict now: left out"
    yield ""
    yield from _difference_lines(result) if "differences" in result else _agreement_lines(result)
    pairs = result.get("annotators", [])
    yield from annotator_lines([pair for pair in pairs if "differences" not in pair])
    for pair in pairs:
        if "differences" in pair:
            yield f"\n{' and '.join(pair['sheets'])}, {counted(pair['labelled_by_both'], 'row')}:"
            yield from grades.lines(pair["differences"])


def _difference_lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield from grades.lines(result["differences"])
    yield f"95 % intervals; {result['method']}"
    yield f"no corrected score: {result['no_correction']}"


def _agreement_lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"agreement {percent(result['agreement'])} %, kappa {number(result['kappa'])}"
    cells = [("protocol", "judged rows", "labelled", "sensitivity", "specificity", "right, %", "corrected, %",
              "score, %", "corrected, %")]  # fmt: skip
    for protocol, found in result["protocols"].items():
        observed, corrected = found["observed"], found.get("corrected")
        judged, score = (share_percent(observed[name]) for name in ("judged", "score"))
        told = [f"{corrected[name]:.3f}" for name in ("sensitivity", "specificity")] if corrected else ["", ""]
        new = [percent(corrected[name]) if corrected else "none" for name in ("judged", "score")]
        cells.append((protocol, str(found["decided"]), str(found["labelled"]), *told, judged, new[0], score, new[1]))
    yield from table_lines(cells)
    yield "right: of the judged rows; score: of all rows, each counted by itself"
    for protocol, found in result["protocols"].items():
        if "no_correction" in found:
            yield f"{protocol}: no corrected score: {found['no_correction']}"
    yield f"95 % intervals; {result['method']}"
    yield f"\n{counted(len(result['disagreements']), 'disagreement')}"
    for item in result["disagreements"]:
        yield f"  {row_name(item)}: label {item['label']!r}, verdict {item['verdict']!r}"
