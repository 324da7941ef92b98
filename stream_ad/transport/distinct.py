"""What a column holds, each value once: work is done per value, not per row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def distinct(column: pa.Array) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the different values of a column and which of them stands in each row.

    Parameters
    ----------
    column : Array (n,)
        Of any kind, also a dictionary.

    Returns
    -------
    values : list
        The last one is None.
    places : int64 array (n,)

    Examples
    --------
    >>> distinct(pa.array(["on", None, "off", "on"]))
    (['on', 'off', None], array([0, 2, 1, 0]))
    """
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = [*coded.dictionary.to_pylist(), None]
    # a dictionary of few values may have codes too narrow for one more
    places = coded.indices.cast(pa.int64()).fill_null(len(values) - 1)
    return values, places.to_numpy(zero_copy_only=False)
