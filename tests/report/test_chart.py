from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.report.axes import HEIGHT, TimeAxis, ValueAxis
from stream_ad.report.chart import Bands, Flag, Line, draw, line_data
from stream_ad.report.markup import escape, tag
from tests.report.pages import Page

X = TimeAxis(0, 1000, 1)
Y = ValueAxis(0.0, 1.0, "linear")


def walked(data: str) -> list[list[tuple[int, int]]]:
    """Follow path data point by point."""
    pieces = []
    for piece in data.split("M")[1:]:
        start, _, steps = piece.removesuffix("h0").partition("l")
        x, y = map(int, start.split())
        points = [(x, y)]
        moves = [int(step) for step in steps.split()]
        for dx, dy in zip(moves[::2], moves[1::2], strict=True):
            x, y = x + dx, y + dy
            points.append((x, y))
        pieces.append(points)
    return pieces


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**5), st.integers(0, 1))))
def test_path_data_leads_through_every_point(rows: list[tuple[int, int, int]]) -> None:
    x, y, breaks = np.array(rows, np.int64).reshape(-1, 3).T
    expected: list[list[tuple[int, int]]] = []
    for i, (a, b, broken) in enumerate(rows):
        if i == 0 or broken:
            expected.append([])
        expected[-1].append((a, b))
    assert walked(line_data(x, y, np.cumsum(breaks))) == expected


@given(st.text())
def test_texts_come_back_as_they_were_and_as_text(text: str) -> None:
    kept = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    kept = kept.replace("\r\n", "\n").replace("\r", "\n")
    page = Page(tag("p", text, title=text).replace("\r\n", "\n").replace("\r", "\n"))
    assert [name for name, _ in page.elements] == ["p"]
    assert page.text == kept
    assert page.named("p")[0]["title"] == kept


def test_markup_is_not_escaped_twice() -> None:
    assert escape(escape("<")) == "&lt;"


def test_bands_keep_their_exact_ends() -> None:
    bands = [Bands("fault", "error", [(100, 250), (900, 900)])]
    page = Page(draw(label="", x=X, y=Y, lines=[], bands=bands))
    (band,) = page.of_class("band")
    assert re.findall(r"M(\d+) 0H(\d+)V", band["d"] or "") == [("100", "250"), ("900", "900")]
    assert band["data-band"] == "fault"


def test_a_flag_that_would_cover_a_more_important_one_is_hidden() -> None:
    flags = [Flag(str(i), "error", (at, at), "#x", "") for i, at in enumerate((500, 510, 800))]
    page = Page(draw(label="", x=X, y=Y, lines=[], flags=flags))
    assert ["hidden" in flag for flag in page.of_class("flag")] == [False, True, False]


def test_only_scores_have_an_alarm_line() -> None:
    score = ValueAxis(0.0, 2.0, "score")
    assert len(Page(draw(label="", x=X, y=score, lines=[])).of_class("limit")) == 1
    assert Page(draw(label="", x=X, y=Y, lines=[])).of_class("limit") == []


def test_a_chart_says_what_it_shows() -> None:
    page = Page(draw(label="temp: 1 to 2", x=X, y=Y, lines=[Line("temp", "actual", "M0 0h0")]))
    assert page.named("svg")[0]["role"] == "img"
    assert page.named("svg")[0]["aria-label"] == "temp: 1 to 2"


def test_page_and_script_agree_on_the_height_of_a_chart() -> None:
    script = files("stream_ad.report").joinpath("axes.js").read_text(encoding="utf-8")
    assert f"const HEIGHT = {HEIGHT}," in script
    assert f'viewBox="0 0 1000 {HEIGHT}"' in draw(label="", x=X, y=Y, lines=[])
