"""Two readings' comparison, as lines for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlmake.audit import grades
from vlmake.audit.comparison import RULES, verdict_key
from vlmake.audit.shown import number, percent, share_percent, table_lines
from vlmake.errors import counted

_SHOWN = 20


def judges_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield two judges' comparison as lines for a terminal."""
    counts, (one, two) = result["samples"], result["judges"]
    yield (
        f"judges {one} and {two} on {result['model']}, {result['dataset']}: both decided {counts['both']:,} of"
        f" {counted(counts['asked'], 'sample')} that they were asked about; {one} alone {counts['first_alone']},"
        f" {two} alone {counts['second_alone']}, neither {counts['neither']}"
    )
    yield ""
    yield from _figure_lines(result, counts["both"], one, two)
    yield ""
    overall = result.get("overall", {})
    cells = [("protocol", "decided by both", f"{one} alone right", f"{two} alone right",
              *(f"{name}: {what}" for name in (one, two) for what in ("right, %", "score")))]  # fmt: skip
    for protocol, found in result["protocols"].items():
        alone = (str(found.get(name, "")) for name in ("first_alone_right", "second_alone_right"))
        told = [
            shown
            for name, right in zip((one, two), found["right"], strict=True)
            for shown in (share_percent(right), _overall(overall.get(name, {}).get(protocol)))
        ]
        cells.append((protocol, str(found["decided_by_both"]), *alone, *told))
    yield from table_lines(cells)
    yield from _differing_lines(result["differing"], (verdict_key(one), verdict_key(two)), one, two)


def rules_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a judge's comparison with rules as lines for a terminal."""
    counts, judge = result["samples"], result["judge"]
    yield (
        f"judge {judge} and rules on {result['model']}, {result['dataset']}: of {counted(counts['rows'], 'sample')} the"
        f" judge was asked about {counts['asked']:,}, which some protocol's rules left open, and decided"
        f" {counts['decided']:,}; the others are not compared"
    )
    yield ""
    cells = [
        ("protocol", "rules left open", "rules read", "same", "agreement, %", "kappa", "exact: score", "judged: score")
    ]
    overall = result.get("overall", {})
    for protocol, found in result["protocols"].items():
        shown = [str(found.get("equal", "")), *(_shown(found, name) for name in ("agreement", "kappa"))]
        scored = [_overall(overall.get(name, {}).get(protocol)) for name in ("", judge)]
        cells.append((protocol, str(found["left_open"]), str(found["read"]), *shown, *scored))
    yield from table_lines(cells)
    for protocol, found in result["protocols"].items():
        if found.get("confusion"):
            yield f"\n{protocol}"
            yield from _table(found["confusion"], judge, "rules")
    if methods := {found["method"] for found in result["protocols"].values() if "method" in found}:
        yield f"95 % intervals; {methods.pop()}"
    yield from _differing_lines(result["differing"], (verdict_key(judge), RULES), judge, "rules")


def _figure_lines(found: Mapping[str, Any], rows: int, one: str, two: str) -> Iterator[str]:
    if "differences" in found:
        yield f"equal {found['equal']} of {rows}"
        yield from grades.lines(found["differences"])
    else:
        shares = f"agreement {percent(found['agreement'])} %, kappa {number(found['kappa'])}"
        yield f"equal {found['equal']} of {rows}: {shares}"
        if found["confusion"]:
            yield from _table(found["confusion"], one, two)
    yield f"95 % intervals; {found['method']}"


def _table(confusion: Mapping[str, Mapping[str, int]], one: str, two: str) -> Iterator[str]:
    """Yield a table of pairs; ``?`` is a response that gives no answer."""
    cells = [(f"{one} \\ {two}", *confusion), *((name, *map(str, row.values())) for name, row in confusion.items())]
    yield from table_lines(cells)


def _differing_lines(
    differing: Sequence[Mapping[str, Any]], keys: tuple[str, str], one: str, two: str
) -> Iterator[str]:
    yield f"\n{counted(len(differing), 'sample')} differ{'s' if len(differing) == 1 else ''}"
    for item in differing[:_SHOWN]:
        where = f"{item['protocol']}, " if "protocol" in item else ""
        by = f" by {item['rule']}" if "rule" in item else ""
        yield f"  {where}index {item['index']}: {one} {item[keys[0]]!r}, {two} {item[keys[1]]!r}{by}"
    if len(differing) > _SHOWN:
        yield f"  and {len(differing) - _SHOWN:,} more; --out FILE.csv or FILE.jsonl has all of them"


def _shown(found: Mapping[str, Any], name: str) -> str:
    if name not in found:
        return ""
    return percent(found[name]) if name == "agreement" else number(found[name])


def _overall(found: Mapping[str, Any] | None) -> str:
    """Return the score as its file quotes it."""
    return "" if not found or found["value"] is None else f"{found['name']} {found['value']:.4g}"
