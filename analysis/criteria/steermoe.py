"""steermoe: experts that are selected more, or less, while a refusal is being said than while help is.

SteerMoE (arXiv 2509.09660) takes the risk difference of f on response tokens between two answers to one prompt, and
ranks by its size. Here both answers are forced, of equal length, and the second is a harmless stand-in for
compliance; that and the interval over topics are ours. With equal lengths the mean over prompts is the paper's mean
over tokens. The two answers also differ in their words, so an expert of a word scores as well as one of refusal.
Window: the forced answer's tokens.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError
from analysis.statistics import cluster_bootstrap_columns

INFO = CriterionInfo(
    name="steermoe",
    summary="How much more or less an expert is selected while a refusal is said than while a harmless answer is.",
    window="response, forced",
    unit="|share|",
    source="SteerMoE, arXiv 2509.09660; harmless stand-in and interval ours",
)


def steermoe(evidence: Evidence) -> Criterion:
    """Score |RD| [layers, experts]; `rd` is positive where refusals use the expert more."""
    forced = evidence.forced
    if forced is None or not len(forced.topics):
        raise WithheldError("steermoe needs answers forced on harmful prompts, and there are none")
    shape = forced.refusal.shape[1:]
    difference = (forced.refusal.astype(np.float64) - forced.stand_in).reshape(len(forced.topics), -1)
    interval = cluster_bootstrap_columns(
        difference, forced.topics, seed=evidence.seed, rows_if_few=True, bounds=(-1, 1)
    )
    columns = {"rd": difference.mean(0), "rd_low": interval.low, "rd_high": interval.high}
    return Criterion(np.abs(columns["rd"]).reshape(shape), {name: v.reshape(shape) for name, v in columns.items()})
