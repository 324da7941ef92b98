"""HTML from Python: whatever is not markup by type is escaped, so data cannot become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

# Control characters and lone surrogates are not allowed in an HTML document.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID: Final = frozenset({"br", "col", "hr", "meta"})


class Html(str):
    """Text that is markup already.

    Examples
    --------
    >>> tag("p", "a < b", Html("<br>"))
    '<p>a &lt; b<br></p>'
    """

    __slots__ = ()


def escape(text: str) -> Html:
    """Make a text safe in element content and in quoted attributes.

    Parameters
    ----------
    text : str
        Markup (``Html``) passes unchanged.

    Examples
    --------
    >>> escape("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)))


def join(parts: Iterable[str | None], between: str = "") -> Html:
    """Escape and join parts; None is left out.

    Examples
    --------
    >>> join(["a", None, tag("b", "<")], " & ")
    'a &amp; <b>&lt;</b>'
    """
    return Html(escape(between).join(escape(part) for part in parts if part is not None))


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Html:
    """Build an element.

    Parameters
    ----------
    name : str
        Element name.
    *children : str or None
        Content; None is left out.
    **attributes : str, number, bool or None
        ``class_`` stands for ``class``, ``data_x`` for ``data-x``. None and False leave the
        attribute out, True gives it no value.

    Examples
    --------
    >>> tag("i", class_="dot", data_x=3, hidden=True)
    '<i class="dot" data-x="3" hidden></i>'
    """
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{join(children)}</{name}>")


def _attribute(key: str, value: str | float | bool | None) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {key}" if value is True else f' {key}="{escape(str(value))}"'


def name_of(text: str) -> Html:
    """Wrap a name that comes from data, so that its writing direction stays its own.

    Examples
    --------
    >>> name_of("press <1>")
    '<bdi>press &lt;1&gt;</bdi>'
    """
    return tag("bdi", text)
