"""Arrow columns made of Python values without ``pyarrow.array``.

That function imports pandas, to see whether its argument is one of pandas' types: 55 MB and half a second in a process
that has no other use for it.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate

import pyarrow as pa


def texts(values: Iterable[str | None]) -> pa.Array:
    """Return a column of texts and nulls."""
    builder = pa.lib.StringBuilder()
    builder.append_values(list(values))
    return builder.finish()


def text_lists(lists: Sequence[Sequence[str]]) -> pa.Array:
    """Return a column of lists of texts."""
    ends = integers(list(accumulate(map(len, lists), initial=0)))
    return pa.ListArray.from_arrays(ends, texts(text for items in lists for text in items))


def integers(values: Sequence[int]) -> pa.Array:
    """Return a column of 32-bit whole numbers."""
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(array("i", values))])


def blobs(data: memoryview, ends: Sequence[int]) -> pa.Array:
    """Return a column of bytes that lie one behind the other in ``data``, without a copy.

    Args:
        data: All bytes, unchanged for as long as the column lives.
        ends: The place behind the last byte of each.
    """
    offsets = pa.py_buffer(array("q", [0, *ends]))
    return pa.Array.from_buffers(pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(data)])
