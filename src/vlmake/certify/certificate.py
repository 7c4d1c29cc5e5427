"""A certification's outcome: a JSON file that says what was compared with what, and a table for the terminal."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlmake.certify.comparison import Row
from vlmake.certify.course import Outcome
from vlmake.errors import counted

_COLUMNS: Mapping[str, Literal["left", "right"]] = {
    "prompt": "left",
    "tokens": "right",
    "tiles": "right",
    "ids": "left",
    "pixels": "right",
    "logits": "right",
    "allowed": "right",
    "best": "left",
    "answer": "left",
}
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
    """Print a line for each prompt, and one on all of them."""
    console = console or Console()
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name, justify in _COLUMNS.items():
        table.add_column(name, justify=justify)
    for row in rows:
        table.add_row(*_cells(row), style="bold red" if row.faults else None)
    console.print(table)
    ids = sum(row.ids_differ_at is None for row in rows)
    answers = sum(row.answer_ids_equal for row in rows)
    pixels = _furthest([row.pixels_apart for row in rows if row.tiles])
    logits = _furthest([row.logits_apart for row in rows])
    tiles = counted(sum(row.tiles for row in rows), "tile")
    console.print(
        f"of {counted(len(rows), 'prompt')}: ids equal {ids}, answers equal {answers}, {tiles} at"
        f" most {pixels} apart, logits at most {logits} apart",
        soft_wrap=True,
        highlight=False,
    )


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
    if row.answers_equal:
        return "equal"
    return "text differs" if "answer text" in row.faults else "bytes differ"  # only in ids that spell no UTF-8


def _number(value: float | None) -> str:
    return "no number" if value is None else "0" if value == 0 else f"{value:.1e}"


def _furthest(values: Sequence[float | None]) -> str:
    if not values:
        return "–"
    numbers = [value for value in values if value is not None]
    return _number(max(numbers)) if len(numbers) == len(values) else _number(None)
