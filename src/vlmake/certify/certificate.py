"""A certification's outcome: a JSON file that says what was compared with what, and a table for the terminal."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlmake.certify.comparison import Row
from vlmake.certify.course import Outcome

_LIBRARIES = ("vlmake", "torch", "transformers", "tokenizers", "numpy", "pillow")


def certificate(model: str, checkpoint: str, asked: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Return the content of the certificate; ``checkpoint`` is its identity. Equal outcomes give equal content."""
    versions = {"python": platform.python_version()} | {library: version(library) for library in _LIBRARIES}
    return {
        "model": model,
        "verdict": "certified" if certified(outcome.rows) else "differs",
        "checkpoint": checkpoint,
        "dtype": outcome.rules.dtype,
        "rules": outcome.rules.describe(),
        "asked": dict(asked),
        "original": dict(outcome.original),
        "converted": dict(outcome.converted) | {"versions": versions},
        "prompts": [row.describe() for row in outcome.rows],
    }


def certified(rows: Sequence[Row]) -> bool:
    """Tell whether no prompt breaks a rule."""
    return not any(row.faults for row in rows)


def print_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print a line for each prompt, and one with the furthest of each column."""
    table = Table(box=box.SIMPLE, show_footer=True)
    equal = sum(row.ids_differ_at is None for row in rows)
    answers = sum(row.answer_ids_equal for row in rows)
    tokens = sum(row.best_token_equal for row in rows)
    numbers = {"justify": "right", "no_wrap": True}
    table.add_column("prompt", footer=f"{len(rows)} prompts")
    table.add_column("tokens", **numbers)  # type: ignore[arg-type]
    table.add_column("tiles", footer=str(sum(row.tiles for row in rows)), **numbers)  # type: ignore[arg-type]
    table.add_column("ids", footer=f"{equal} equal")
    table.add_column("pixels apart", footer=_furthest([row.pixels_apart for row in rows if row.tiles]))
    table.add_column("logits apart", footer=_furthest([row.logits_apart for row in rows]))
    table.add_column("allowed")
    table.add_column("best token", footer=f"{tokens} equal")
    table.add_column("answer", footer=f"{answers} equal")
    for row in rows:
        table.add_row(*_cells(row), style="bold red" if row.faults else None)
    (console or Console()).print(table)


def _cells(row: Row) -> list[Text]:
    ids = "equal" if row.ids_differ_at is None else f"differ at {row.ids_differ_at}"
    pixels = "–" if not row.tiles and row.tile_shapes_equal else _number(row.pixels_apart)
    cells = [
        row.name,
        str(row.prompt_tokens),
        str(row.tiles) if row.tile_shapes_equal else f"{row.tiles}, differ",
        ids,
        pixels,
        _number(row.logits_apart),
        f"{row.logits_allowed:.1e}",
        _word(row.best_token_equal),
        _answer(row),
    ]
    return [Text(cell) for cell in cells]


def _word(equal: bool) -> str:
    return "equal" if equal else "differs"


def _answer(row: Row) -> str:
    if not row.answer_ids_equal:
        return "differs"
    return "equal" if row.answers_equal else "text differs"


def _number(value: float | None) -> str:
    return "no number" if value is None else "0" if value == 0 else f"{value:.1e}"


def _furthest(values: Sequence[float | None]) -> str:
    if not values:
        return "–"
    numbers = [value for value in values if value is not None]
    return _number(max(numbers)) if len(numbers) == len(values) else _number(None)
