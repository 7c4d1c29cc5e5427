"""What was asked, for extractors that read an answer against its question."""

import pandas as pd


def questions(frame: pd.DataFrame) -> list[str | None]:
    """Return the question of every row; None where there is none."""
    if "question" not in frame:
        return [None] * len(frame)
    return [question if isinstance(question, str) else None for question in frame["question"]]  # an empty cell is NaN
