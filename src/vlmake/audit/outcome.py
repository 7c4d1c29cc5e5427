"""What a labelled sheet says: per protocol and between annotators, as plain values and as lines to print."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from vlmake.audit.agreement import METHOD, effective_size, kappa, label_weights, plain, share
from vlmake.audit.labels import ABSTAIN
from vlmake.audit.shown import number, percent, row_name, table_lines
from vlmake.errors import VlmakeError, counted
from vlmake.extract.answer import PROTOCOLS

Labels = Mapping[str, str]


def outcome(record: Mapping[str, Any], sheets: Mapping[str, Labels]) -> dict[str, Any]:
    """Return the figures of a labelled sheet.

    ``wrong`` is the share of rows in which a protocol read something else than the label, an answer where there is none
    included; ``abstained`` is that in which it read nothing although the label is an answer. With ``agreement`` they
    add up to one.

    Args:
        record: The content of the JSON file beside the sheet (``vlmake.audit.draw``).
        sheets: By sheet: sample → category, labelled rows only. Protocols are compared with the first sheet, and every
            two sheets with each other.

    Raises:
        VlmakeError: Nothing is labelled, or nothing by two who are compared.
    """
    labels = next(iter(sheets.values()))
    rows = [row for row in record["rows"] if row["sample"] in labels]
    if not rows:
        raise VlmakeError("no row has a label: fill in the column 'label', then give the same command again")
    sizes = [stratum["rows"] for stratum in record["strata"]]
    weights = label_weights([row["stratum"] for row in rows], sizes)
    given = [labels[row["sample"]] for row in rows]
    protocols = {}
    for protocol in PROTOCOLS:
        read = [row["readings"][protocol]["category"] for row in rows]
        missed = [one == ABSTAIN != label for one, label in zip(read, given, strict=True)]
        wrong = [one not in (ABSTAIN, label) for one, label in zip(read, given, strict=True)]
        protocols[protocol] = {
            "agreement": plain(share([one == label for one, label in zip(read, given, strict=True)], weights)),
            "kappa": plain(kappa(read, given, weights)),
            "wrong": plain(share(wrong, weights)) | {"rows": sum(wrong)},
            "abstained": plain(share(missed, weights)) | {"rows": sum(missed)},
            "disagreements": [
                _disagreement(row, protocol, label, float(weight))
                for row, one, label, weight in zip(rows, read, given, weights, strict=True)
                if one != label
            ],
        }
    empty = [stratum["rows"] for number, stratum in enumerate(record["strata"]) if not _labelled(rows, number)]
    result = {
        "labelled": len(rows),
        "not_labelled": len(record["rows"]) - len(rows),
        "stands_for": float(weights.sum()),
        "effective_size": effective_size(weights),
        "strata": len(sizes),
        "strata_without_label": {"strata": len(empty), "rows": sum(empty)},
        "left_out": record["population"]["left_out"],
        "method": METHOD,
        "protocols": protocols,
    }
    pairs = [
        {"sheets": [one, two], **between(record["rows"], sizes, sheets[one], sheets[two], f"{one} and {two}")}
        for one, two in combinations(sheets, 2)
    ]
    return result | ({"annotators": pairs} if pairs else {})


def _labelled(rows: Sequence[Mapping[str, Any]], stratum: int) -> bool:
    return any(row["stratum"] == stratum for row in rows)


def _disagreement(row: Mapping[str, Any], protocol: str, label: str, weight: float) -> dict[str, Any]:
    reading = row["readings"][protocol]
    names = {name: row[name] for name in ("sample", "dataset", "model", "index")}
    read = {name: reading[name] for name in ("answer", "category", "rule", "span", "text")}
    return names | {"label": label} | read | {"weight": weight}


def between(
    rows: Sequence[Mapping[str, Any]], sizes: Sequence[int], one: Labels, two: Labels, who: str
) -> dict[str, Any]:
    """Return how two sheets' labels agree; ``who`` names the two in the error where no row is in both."""
    both = [row for row in rows if row["sample"] in one and row["sample"] in two]
    if not both:
        raise VlmakeError(f"{who}: no row has a label in both sheets: there is nothing to compare")
    weights = label_weights([row["stratum"] for row in both], sizes)
    first, second = ([labels[row["sample"]] for row in both] for labels in (one, two))
    return {
        "labelled_by_both": len(both),
        "agreement": plain(share([a == b for a, b in zip(first, second, strict=True)], weights)),
        "kappa": plain(kappa(first, second, weights)),
        "disagreements": [
            {name: row[name] for name in ("sample", "dataset", "model", "index")} | {"first": a, "second": b}
            for row, a, b in zip(both, first, second, strict=True)
            if a != b
        ],
    }


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures as lines for a terminal."""
    yield (
        f"{counted(result['labelled'], 'row')} labelled, {result['not_labelled']} not; they stand for "
        f"{counted(round(result['stands_for']), 'row')} of {counted(result['strata'], 'stratum', 'strata')},"
        f" effective sample size {result['effective_size']:.0f}"
    )
    if without := result["strata_without_label"]["strata"]:
        rows = result["strata_without_label"]["rows"]
        places = counted(without, "stratum", "strata")
        yield f"no label in {places} of {counted(rows, 'row')}: the figures say nothing of them"
    left_out = ", ".join(f"{count} {reason}" for reason, count in result["left_out"].items())
    if left_out:
        yield f"not part of it: {left_out}"
    yield ""
    cells = [("protocol", "agreement, %", "kappa", "wrong, %", "rows", "abstained, %", "rows")]
    for protocol, found in result["protocols"].items():
        wrong, abstained = found["wrong"], found["abstained"]
        shares = [percent(found["agreement"]), number(found["kappa"])]
        counts = [percent(wrong), str(wrong["rows"]), percent(abstained), str(abstained["rows"])]
        cells.append((protocol, *shares, *counts))
    yield from table_lines(cells)
    yield f"95 % intervals; {result['method']}"
    for protocol, found in result["protocols"].items():
        yield f"\n{protocol}: {counted(len(found['disagreements']), 'disagreement')}"
        for item in found["disagreements"]:
            text = "" if item["text"] is None else f" from {item['text']!r} at {item['span'][0]}"
            read = f"{item['answer']!r} by {item['rule']}{text}"
            yield f"  {row_name(item)}: label {item['label']!r}, read {read}"
    yield from annotator_lines(result.get("annotators", []))


def annotator_lines(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how people agree with each other."""
    for pair in pairs:
        yield (
            f"\n{' and '.join(pair['sheets'])}, {counted(pair['labelled_by_both'], 'row')}:"
            f" agreement {percent(pair['agreement'])} %, "
            f"kappa {number(pair['kappa'])}"
        )
        for item in pair["disagreements"]:
            yield f"  {row_name(item)}: first {item['first']!r}, second {item['second']!r}"
