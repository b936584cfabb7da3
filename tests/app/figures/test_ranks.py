"""Ranks by several criteria, one line an expert."""

import math
from dataclasses import dataclass
from itertools import pairwise

from app.figures import rank_lines
from app.figures.template import FLAGGED


@dataclass
class Expert:
    name: str
    rank: int
    ranks: tuple[int | None, ...]
    flagged: bool = False
    selected: bool = False


def test_a_line_goes_through_the_ranks_and_is_broken_where_there_is_none() -> None:
    (line,) = rank_lines([Expert("L1·E2", 3, (7, None, 1))], ["raset", "safex", "ablation"], 64).data
    assert list(line.y) == [3, 7, None, 1]
    assert line.connectgaps is False
    assert list(line.customdata) == ["audit's ranking", "raset", "safex", "ablation"]


def test_what_matters_is_drawn_on_top_and_named() -> None:
    experts = [Expert("a", 1, (1,), selected=True), Expert("b", 2, (2,)), Expert("c", 3, (3,), flagged=True)]
    chart = rank_lines(experts, ["raset"], 64)
    assert [line.name for line in chart.data] == ["b", "c", "a"]
    assert chart.data[1].line.color == FLAGGED
    assert [one.text for one in chart.layout.annotations] == ["<b>a</b>", "c"]


def test_names_that_would_overlap_stand_apart() -> None:
    chart = rank_lines([Expert(str(i), 40, (40,), flagged=True) for i in range(4)], ["raset"], 64)
    heights = sorted(one.y for one in chart.layout.annotations)
    assert min(b - a for a, b in pairwise(heights)) > 0.05


def test_the_axis_ends_with_the_number_of_experts() -> None:
    axis = rank_lines([], ["raset"], 48_128).layout.yaxis
    assert list(axis.tickvals) == [1, 10, 100, 1_000, 10_000, 48_128]
    assert axis.ticktext[-1] == "48\u202f128"
    assert axis.range[0] > math.log10(48_128), "worst at the bottom"
    assert axis.range[1] < 0
