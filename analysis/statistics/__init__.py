"""Intervals, tests and scores over arrays of numbers. Knows nothing of models or prompts beyond their shapes."""

from analysis.statistics.agreement import RankAgreement, rank_agreement
from analysis.statistics.bootstrap import (
    IntervalColumns,
    cluster_bootstrap,
    cluster_bootstrap_columns,
    ratio_of_means,
)
from analysis.statistics.cluster_means import ClusterPairs
from analysis.statistics.concentration import gini, m80
from analysis.statistics.difference import difference_of_intervals, difference_of_means
from analysis.statistics.interval import Interval
from analysis.statistics.moderated import moderated_t
from analysis.statistics.permutation import (
    benjamini_hochberg,
    cluster_t_test,
    empirical_p,
    paired_test,
    predictive_p,
    sign_flip_test,
)
from analysis.statistics.power import (
    Topics,
    design_effect,
    difference_half_width,
    prompts_for_difference,
    prompts_for_rate,
    rate_half_width,
    topics_for_rate,
)
from analysis.statistics.proportions import clustered_rate, mcnemar_exact, paired_difference, wilson
from analysis.statistics.rogan_gladen import Calibration, rogan_gladen
from analysis.statistics.stability import false_selection_bound, stability_selection
from analysis.statistics.studentised import FEWEST_CLUSTERS
from analysis.statistics.two_way import TwoWay, two_way_eta

__all__ = [
    "FEWEST_CLUSTERS",
    "Calibration",
    "ClusterPairs",
    "Interval",
    "IntervalColumns",
    "RankAgreement",
    "Topics",
    "TwoWay",
    "benjamini_hochberg",
    "cluster_bootstrap",
    "cluster_bootstrap_columns",
    "cluster_t_test",
    "clustered_rate",
    "design_effect",
    "difference_half_width",
    "difference_of_intervals",
    "difference_of_means",
    "empirical_p",
    "false_selection_bound",
    "gini",
    "m80",
    "mcnemar_exact",
    "moderated_t",
    "paired_difference",
    "paired_test",
    "predictive_p",
    "prompts_for_difference",
    "prompts_for_rate",
    "rank_agreement",
    "rate_half_width",
    "ratio_of_means",
    "rogan_gladen",
    "sign_flip_test",
    "stability_selection",
    "topics_for_rate",
    "two_way_eta",
    "wilson",
]
