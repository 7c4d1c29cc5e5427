"""How figures of an audit are shown on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def table_lines(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows of cells, columns below each other."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def row_name(item: Mapping[str, Any]) -> str:
    """Return how a line names a row of a sheet."""
    return f"{item['sample']} ({item['model']}, {item['dataset']}, index {item['index']})"


def percent(estimate: Mapping[str, float]) -> str:
    """Return a share and its interval in percent."""
    return f"{100 * estimate['value']:.1f} ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def number(found: Mapping[str, float | None]) -> str:
    """Return a kappa and its interval."""
    if found["value"] is None:
        return "none: one category"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def share_percent(value: float | None) -> str:
    """Return a share in percent; nothing for none."""
    return "" if value is None else f"{100 * value:.1f}"
