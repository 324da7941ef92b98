"""Numbers, times and probabilities as a person reads them. Times are UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from stream_ad.report.markup import Html, tag

NS: Final = 1_000_000_000
ABSENT: Final = "\N{EN DASH}"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPELLING: Final = str.maketrans({",": "\N{NARROW NO-BREAK SPACE}", "-": "\N{MINUS SIGN}"})
_UNITS: Final = (("d", 86_400 * NS), ("h", 3600 * NS), ("min", 60 * NS), ("s", NS))


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with as many significant digits as asked, thousands set apart.

    Parameters
    ----------
    value : float or None
        None, NaN and infinity become a dash.
    digits : int
        Significant digits; below ten million, those before the decimal point all stay.

    Examples
    --------
    >>> number(0.123456), number(2.0), number(1.5e30), number(float("nan")) == ABSENT
    ('0.1235', '2', '1.5e30', True)
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    if abs(value) < 1e7 and (value == int(value) or abs(value) >= 10**digits):
        text = f"{value:{',' if abs(value) >= 1e4 else ''}.0f}"
    else:
        text = f"{value:.{digits}g}"
        if "e" in text:
            mantissa, exponent = text.split("e")
            text = f"{mantissa}e{int(exponent)}"
    return text.translate(_SPELLING)


def resolved(value: float | None, step: float) -> str:
    """Write a number so that a difference as small as `step` can be seen.

    Fifteen digits are the most, as a float holds no more.

    Examples
    --------
    >>> resolved(1013.25, 0.01), resolved(20, 0.5), resolved(1e9, 1e7), resolved(2, 0)
    ('1013.25', '20.0', '1e9', '2')
    """
    if value is None or not math.isfinite(value) or not 0 < step < math.inf:
        return number(value)
    if abs(value) >= 1e7 or step < 1e-5:
        digits = math.ceil(math.log10(max(abs(value), step)) - math.log10(step)) + 1
        return number(value, min(max(digits, 4), 15))
    decimals = max(0, -math.floor(math.log10(step)))
    return f"{value:{',' if abs(value) >= 1e4 else ''}.{decimals}f}".translate(_SPELLING)


def percent(share: float) -> str:
    """Write a share of 1 as whole percent, small ones with a bound.

    Examples
    --------
    >>> percent(0.256), percent(0.004), percent(0)
    ('26 %', '< 1 %', '0 %')
    """
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{round(100 * share)} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """Write how many of something.

    Examples
    --------
    >>> count(1, "machine"), count(0, "machine"), count(2, "of it", "of them")
    ('1 machine', '0 machines', '2 of them')
    """
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def duration(ns: int) -> str:
    """Write a span of time with its two largest units.

    Examples
    --------
    >>> duration(9_000 * NS), duration(90_061 * NS), duration(1_500_000)
    ('2 h 30 min', '1 d 1 h', '1.5 ms')
    """
    if 0 < ns < NS:
        return f"{number(ns / 1e6)} ms"
    if ns < 60 * NS:
        return f"{number(ns / NS, 3)} s"
    for (large, size), (small, rest) in pairwise(_UNITS):
        if ns >= size:
            whole, left = divmod(ns, size)
            return f"{whole} {large} {left // rest} {small}" if left >= rest else f"{whole} {large}"
    raise AssertionError("unreachable: at least a minute is left")


def clock(ns: int) -> str:
    """Write a time without the parts that say nothing.

    Examples
    --------
    >>> clock(0), clock(61_500_000_000)
    ('1970-01-01 00:00', '1970-01-01 00:01:01.5')
    """
    seconds, rest = divmod(int(ns), NS)
    at = _EPOCH + timedelta(seconds=seconds)
    if rest:
        return f"{at:%Y-%m-%d %H:%M:%S}.{rest:09d}".rstrip("0")
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def moment(ns: int) -> Html:
    """Write a time as an element that machines read too.

    Examples
    --------
    >>> moment(0)
    '<time datetime="1970-01-01T00:00Z">1970-01-01 00:00</time>'
    """
    text = clock(ns)
    return tag("time", text, datetime=f"{text.replace(' ', 'T')}Z")


def rarity(p_value: float | None) -> str | None:
    """Say in words how often a normal window scores this high.

    Examples
    --------
    >>> rarity(1 / 498)
    'at most about 1 in 500 normal windows scores this high'
    >>> rarity(0.3)
    'about 30 in 100 normal windows score this high'
    """
    if p_value is None or not 0 < p_value <= 1:
        return None
    if p_value > 0.1:
        return f"about {round(100 * p_value)} in 100 normal windows score this high"
    # a p-value has a floor: so far the history can tell, and no farther
    return f"at most about 1 in {_rounded(1 / p_value)} normal windows scores this high"


def _rounded(value: float) -> str:
    step = 10 ** max(0, math.floor(math.log10(value)) - 1)  # two digits are honest enough
    return number(round(value / step) * step)
