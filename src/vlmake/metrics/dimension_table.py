"""The table of answers that are graded 0 to 10 in several dimensions, one turn of a conversation at a time."""

from collections.abc import Mapping, Sequence

from vlmake.metrics.base import Cell, Overall, ScoreTable

ALL, VALID = "all", "valid"


def dimension_table(
    turns: Sequence[Mapping[str, int] | None], dimensions: Sequence[str], overall: str, strict: bool
) -> ScoreTable:
    """Return two rows of mean grades times 10, one column a dimension.

    ``all`` divides by the number of turns, so that a turn without a grade counts as 0; ``valid`` divides by the number
    of those that have one, and is empty where none has. Turns are averaged, not conversations.

    Source: Liu et al. 2024 (arXiv 2406.11833); rows as VLMEvalKit's.

    Args:
        turns: The grades of every turn by dimension; None where the judge gave none.
        dimensions: The columns.
        overall: The dimension by which the benchmark is quoted.
        strict: Whether the number quoted is of ``valid`` (a judge's failure is no grade) or of ``all`` (VLMEvalKit).
    """
    given = {name: [turn[name] for turn in turns if turn and name in turn] for name in dimensions}
    rows: list[list[Cell]] = [
        [ALL, *(_mean(grades, len(turns)) for grades in given.values())],
        [VALID, *(_mean(grades, len(grades)) for grades in given.values())],
    ]
    counted = len(given[overall]) if strict else len(turns)
    value = _mean(given[overall], counted)
    return ScoreTable(["set", *dimensions], rows, Overall(overall, value, counted))


def _mean(grades: Sequence[int], count: int) -> float:
    return 10 * sum(grades) / count if count else float("nan")
