"""Values of numpy and pandas as Python's own, which JSON and Parquet can hold."""

from typing import Any

import numpy as np
import pandas as pd


def unboxed(value: Any) -> Any:
    """Return an array, a Series or a scalar of numpy as Python's lists and numbers, anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | pd.Series) else value


def plain(value: Any) -> Any:
    """Return ``unboxed`` values, lists in depth; None for every kind of gap and for what is not finite."""
    value = unboxed(value)
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
