"""A benchmark's rows for scoring: the text of its TSV, without its pictures."""

from pathlib import Path

import pandas as pd

from vlmake.data.tsv import TsvReader
from vlmake.errors import VlmakeError
from vlmake.scoring.protocols import NO_IMAGE


def read_text_samples(tsv: Path) -> pd.DataFrame:
    """Return one row per TSV row: every column but ``image`` as text with nulls, and ``image_error``.

    ``image_error`` is set where a row has neither an image nor an image path in a TSV that has such columns, as the
    decode stage sets it. A TSV that was stripped of its images is scored all the same.

    Raises VlmakeError for a missing index column, a missing or repeated index, and what the TSV reader refuses.
    """
    with TsvReader(tsv, as_bytes={"image"}) as table:
        if "index" not in table.header:
            raise VlmakeError(f"{tsv}: there is no column 'index'")
        columns = [place for place, name in enumerate(table.header) if name != "image"]
        sources = [place for place, name in enumerate(table.header) if name in ("image", "image_path")]
        index = table.header.index("index")
        rows_of: dict[object, int] = {}
        rows, errors = [], []
        for row in table:
            if not row.cells[index]:
                raise VlmakeError(f"{tsv}: row {row.number} has no index")
            first = rows_of.setdefault(row.cells[index], row.number)
            if first != row.number:
                raise VlmakeError(f"{tsv}: rows {first} and {row.number} have the same index '{row.cells[index]!s}'")
            rows.append([row.cells[place] for place in columns])
            errors.append(NO_IMAGE if sources and not any(row.cells[place] for place in sources) else None)
    samples = pd.DataFrame(rows, columns=[table.header[place] for place in columns], dtype=object)
    return samples.assign(image_error=pd.Series(errors, dtype=object))
