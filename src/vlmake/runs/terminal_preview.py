"""What a run will take, as tables that are readable in 80 columns and in a log file."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlmake.judges.asking import ASKS
from vlmake.report.text import one_line
from vlmake.runs.planning import Plan
from vlmake.runs.preview import Limit, Line, limits, preview, targets_of
from vlmake.runs.preview_sizes import Bill, Kind, Size, together, total
from vlmake.runs.preview_tokens import TOKENS_OF_AN_IMAGE

MOST_LINES = 200
"""Targets that have a line of their own; those with nothing to do are left out first."""

_SIGNS: dict[Kind, str] = {"exact": "", "about": "~", "at most": "≤"}
_SMALL_MONEY = 0.1
_LONGEST = 24  # letters in a name before it folds


def print_preview(
    plan: Plan,
    pairs: Iterable[tuple[str, str]],
    words: Sequence[str],
    work_dir: Path,
    *,
    scored: bool = True,
    fresh: bool = False,
) -> None:
    """Print what a run of these (model, dataset), or of the target files among ``words``, takes; then what it costs.

    ``scored`` tells whether it goes on to scores, ``fresh`` whether models are asked anew.
    """
    lines = preview(plan, targets_of(plan, pairs, words, scored=scored), work_dir, fresh=fresh)
    if lines:
        judges = [line.target.judge for line in lines if line.target.judge]
        show(lines, limits(plan, judges, work_dir), Console())
        sys.stdout.flush()


def show(lines: Sequence[Line], judges_limits: Sequence[Limit], console: Console) -> None:
    """Print the tables and the words below them."""
    bills = [bill for line in lines for bill in line.bills()]
    shown = _shown(lines)
    table = _table(["model", "dataset"], ["to infer", "judge calls", "tokens", "cost"])
    for line in shown:
        table.add_row(*_names(line.target.model, line.target.dataset), *_numbers(line))
    if left_out := len(lines) - len(shown):
        table.add_row(f"… {left_out:,} more", "")
    table.add_section()
    judge_calls = total(line.judging.calls for line in lines if line.judging)
    infer = total(line.infer for line in lines)
    table.add_row("total", "", number(infer), number(judge_calls), number(_tokens(bills)), money(_money(bills)))
    console.print(table)
    if paid := together(bill for bill in bills if bill.calls.number or bill.calls.and_unknown):
        console.print()
        console.print(_paid_table(paid))
    console.print()
    for words in _notes(bills, judges_limits):
        console.print(Text(words, style="dim"))
    console.print()


def _paid_table(paid: Sequence[Bill]) -> Table:
    table = _table(["asked"], ["calls", "prompt tokens", "reply tokens", "cost"])
    for bill in paid:
        sizes = (bill.calls, bill.prompt_tokens, bill.completion_tokens)
        table.add_row(*_names(bill.payee), *map(number, sizes), money(bill.money()))
    return table


def _table(names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, max_width=_LONGEST, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _shown(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that are shown, in their order: all of a few, of many the first with something to do."""
    if len(lines) <= MOST_LINES:
        return list(lines)
    busy = [place for place, line in enumerate(lines) if _is_busy(line)]
    return [lines[place] for place in busy[:MOST_LINES]]


def _is_busy(line: Line) -> bool:
    return any(size.number or size.and_unknown for size in (line.infer, *(bill.calls for bill in line.bills())))


def _names(*names: str) -> list[Text]:
    return [Text(one_line(name)) for name in names]


def _numbers(line: Line) -> list[str]:
    calls = number(line.judging.calls) if line.judging else "-"
    bills = line.bills()
    if not bills:
        return [number(line.infer), calls, "-", "-"]
    return [number(line.infer), calls, number(_tokens(bills)), money(_money(bills))]


def _tokens(bills: Iterable[Bill]) -> Size:
    return total(bill.tokens() for bill in bills)


def _money(bills: Iterable[Bill]) -> Size:
    return total(bill.money() for bill in bills)


def number(size: Size) -> str:
    """Return a size as a table shows it: ``1,200``, ``~1,200`` (about), ``≤1,200`` (at most), ``?`` (unknown)."""
    return _with_doubt(size, f"{round(size.number):,}")


def money(size: Size) -> str:
    """Return a sum of money; of small ones two digits that tell something."""
    small = 0 < size.number < _SMALL_MONEY
    return _with_doubt(size, f"{size.number:.2g}" if small else f"{size.number:,.2f}")


def _with_doubt(size: Size, digits: str) -> str:
    if size.and_unknown:
        return f"{_SIGNS[size.kind]}{digits}+?" if size.number else "?"
    return f"{_SIGNS[size.kind]}{digits}"


def _notes(bills: Sequence[Bill], judges_limits: Sequence[Limit]) -> Iterator[str]:
    yield "≤ at most, ~ about, ? not known: rows before a download, tokens without a text, cost without a price."
    if any(bill.tokens().number for bill in bills):
        yield (
            f"Tokens are estimated: by the replies so far, else by letters (an image as {TOKENS_OF_AN_IMAGE:,}) and the"
            " longest reply allowed."
        )
    if judges_limits or any(bill.calls.number for bill in bills):
        yield f"A judge's reply that is no verdict is asked again, {ASKS} times in all; that is not counted here."
    costs = {bill.payee: bill.money() for bill in together(bills)}
    for limit in judges_limits:
        yield _limit_line(limit, costs[limit.judge])


def _limit_line(limit: Limit, cost: Size) -> str:
    passed = limit.spent + cost.number > limit.most
    outcome = "the run may stop there before it is done" if passed or cost.and_unknown else "that is enough"
    return (
        f"Judge {limit.judge} has cost {money(Size(limit.spent))} here so far, {money(cost)} are to come, and"
        f" its limit is {money(Size(limit.most))}: {outcome}."
    )
