"""Quality codes: which of them let a value through (``input.good_quality``)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_ad.config import InputConfig
from stream_ad.transport.distinct import distinct


class GoodQuality:
    """The good codes; a code that is absent, null or empty counts as good.

    Parameters
    ----------
    config : InputConfig
        Without ``good_quality`` every value counts; the code stands in
        ``fields.quality``, by default ``quality``. Codes compare as text, so 192 is "192".

    Examples
    --------
    >>> quality = GoodQuality(InputConfig(good_quality=(192,)))
    >>> quality.is_good("192"), quality.is_good(0), quality.is_good(None)
    (True, False, True)
    """

    def __init__(self, config: InputConfig) -> None:
        given = config.good_quality
        self._good = None if given is None else frozenset(map(str, given))
        self.column = None if given is None else config.fields.quality or "quality"

    def is_good(self, code: object) -> bool:
        """Return whether a value with this code counts."""
        if self._good is None or code is None or code == "":
            return True
        if isinstance(code, float) and code.is_integer():
            code = int(code)
        return str(code).strip() in self._good

    def bad_rows(self, column: pa.Array, counts: Counter[str]) -> NDArray[np.bool_]:
        """Return which rows of a column of codes are bad, counted."""
        codes, places = distinct(column)
        bad = np.array([not self.is_good(code) for code in codes], bool)
        marked: NDArray[np.bool_] = bad[places]
        if marked.any():
            counts["bad_quality"] += int(marked.sum())
        return marked
