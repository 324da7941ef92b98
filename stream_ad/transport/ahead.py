"""Reading one item ahead, so that the next block is parsed while this one is scored."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items; the next one is made in another thread meanwhile.

    Pays where making an item leaves the interpreter alone, as Arrow does when it parses. The
    order, and where an error stands in it, are those of the iterator. Nobody else may use
    the iterator; it holds one item more in memory.

    Parameters
    ----------
    items : iterator

    Examples
    --------
    >>> list(one_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not the end
