"""What every row of a table says of its images, in a few bytes a row; and the references between rows followed."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlmake.data.columns import texts
from vlmake.data.image_cells import Reference, RowImages
from vlmake.data.literals import REFERENCE_LENGTH
from vlmake.data.tsv import cut
from vlmake.errors import VlmakeError

_ON_THE_WAY, _NOT_SEEN = -2, -1


class ImagesOfRows:
    """Rows in file order: add what each says, end batches, then ``follow`` and ask by place, counted from 0.

    Indexes are compared by hashes first: a set of them would take a hundred bytes a row.
    """

    def __init__(self) -> None:
        self._numbers = array("i")
        self._ends = array("q")
        self._is_broken = bytearray()
        self._reasons: list[str | None] = []
        self._errors: list[pa.Array] = []
        self._pending: list[str | None] = []
        self._index_hashes = array("q")
        self._refers = array("i")
        self._target_hashes = array("q")
        self._targets: list[pa.Array] = []
        self._indices: list[pa.Array] = []
        self._source = array("i")
        self._all_errors: pa.ChunkedArray | None = None

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, found: RowImages | Reference) -> None:
        """Take in what the next row says."""
        if isinstance(found, Reference):
            self._refers.append(len(self))
            self._target_hashes.append(hash(found.target))
            self._pending.append(found.target)
        error = None if isinstance(found, Reference) else found.error
        self._numbers.extend(() if isinstance(found, Reference) else found.numbers)
        self._ends.append(len(self._numbers))
        self._is_broken.append(error is not None)
        self._reasons.append(error)

    def end_batch(self, indices: pa.Array) -> None:
        """Take in the indexes of the rows that were added since the last batch."""
        self._indices.append(indices)
        self._index_hashes.extend(map(hash, indices.to_pylist()))
        self._targets.append(texts(self._pending))
        self._errors.append(texts(self._reasons))
        self._pending.clear()
        self._reasons.clear()

    def follow(self, tsv: Path) -> None:
        """Find the row whose images each row has.

        Raises VlmakeError for a repeated index, and for a reference that leads nowhere or in a circle.
        """
        indices, targets = pa.chunked_array(self._indices), pa.chunked_array(self._targets)
        hashes = np.frombuffer(self._index_hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        if (ordered[1:] == ordered[:-1]).any():
            _refuse_repeated(tsv, indices)
        self._source = array("i", range(len(self)))
        self._all_errors = pa.chunked_array(self._errors)
        if not self._refers:
            return
        refers = np.frombuffer(self._refers, np.int32)
        wanted = np.frombuffer(self._target_hashes, np.int64)
        places = order[np.searchsorted(ordered, wanted).clip(max=len(self) - 1)]
        if not pc.all(pc.equal(_taken(indices, places), targets)).as_py():  # one leads nowhere, or equal hashes
            places = np.array([-1 if place is None else place for place in pc.index_in(targets, indices).to_pylist()])
        if (places < 0).any():
            first = int(np.argmax(places < 0))
            raise _nowhere(tsv, self._refers[first], str(targets[first]))
        to = np.full(len(self), -1, np.int32)
        to[refers] = places
        for row in self._refers:
            self._source[row] = _NOT_SEEN
        self._settle(tsv, indices, array("i", to.tobytes()))

    def _settle(self, tsv: Path, indices: pa.ChunkedArray, to: Sequence[int]) -> None:
        """Go along the references from every row."""
        for start in self._refers:
            chain = []
            here = start
            while self._source[here] == _NOT_SEEN:
                self._source[here] = _ON_THE_WAY
                chain.append(here)
                here = to[here]
            if self._source[here] == _ON_THE_WAY:
                circle = " → ".join(str(indices[row]) for row in [*chain[chain.index(here) :], here])
                raise VlmakeError(
                    f"{tsv}: row {here + 1}: its image refers to itself in a circle of indexes: {cut(circle)}"
                )
            for row in chain:
                self._source[row] = self._source[here]

    def numbers(self, row: int) -> Sequence[int]:
        """Return the numbers of a row's images; none where they cannot be used."""
        source = self._source[row]
        return self._numbers[self._ends[source - 1] if source else 0 : self._ends[source]]

    def error(self, row: int) -> str | None:
        """Return the reason why a row has no images; None where it has some."""
        source = self._source[row]
        return str(self._all_errors[source]) if self._all_errors is not None and self._is_broken[source] else None


def _taken(values: pa.ChunkedArray, places: Any) -> pa.ChunkedArray:
    """Return the values at some places, which are an array of numpy's (``pa.array`` of one would import pandas)."""
    wanted = places.astype(np.int64)
    return values.take(pa.Array.from_buffers(pa.int64(), len(wanted), [None, pa.py_buffer(wanted)]))


def _refuse_repeated(tsv: Path, indices: pa.ChunkedArray) -> None:
    """Raise VlmakeError for an index that is there twice: equal hashes alone do not say so."""
    first: dict[str, int] = {}
    for row, index in enumerate(indices.to_pylist(), 1):
        if first.setdefault(index, row) != row:
            raise VlmakeError(f"{tsv}: rows {first[index]} and {row} have the same index '{cut(index)}'")


def _nowhere(tsv: Path, row: int, target: str) -> VlmakeError:
    return VlmakeError(
        f"{tsv}: row {row + 1}: its image is '{target}', which is no row's index "
        f"(an image cell of up to {REFERENCE_LENGTH} characters refers to another row)"
    )
