"""Intervals, tests and scores over arrays of numbers. Knows nothing of models or prompts beyond their shapes."""

from analysis.statistics.bootstrap import (
    IntervalColumns,
    cluster_bootstrap,
    cluster_bootstrap_columns,
    ratio_of_means,
)
from analysis.statistics.concentration import gini, m80
from analysis.statistics.interval import Interval
from analysis.statistics.moderated import moderated_t
from analysis.statistics.permutation import benjamini_hochberg, empirical_p, sign_flip_test
from analysis.statistics.proportions import mcnemar_exact, paired_difference, wilson, wilson_half_width
from analysis.statistics.stability import false_selection_bound, stability_selection

__all__ = [
    "Interval",
    "IntervalColumns",
    "benjamini_hochberg",
    "cluster_bootstrap",
    "cluster_bootstrap_columns",
    "empirical_p",
    "false_selection_bound",
    "gini",
    "m80",
    "mcnemar_exact",
    "moderated_t",
    "paired_difference",
    "ratio_of_means",
    "sign_flip_test",
    "stability_selection",
    "wilson",
    "wilson_half_width",
]
