"""routescan: per-layer expert load of the prefill, with four summaries of each layer, by calibrated regression.

RouteScan (arXiv 2605.24817) reads the load from GPU counters and classifies it with logistic regression and Platt
scaling; here the load comes from the trace. What we could read of it names the summaries but gives no formulas, so
these are ours, with q the load of a layer, Σq = 1:

    coverage       #{q > 0} / E           entropy        −Σ q log2 q, in bits
    gap            largest q − second     concentration  Σ q²
"""

import numpy as np
from jaxtyping import Float

from analysis.detectors.base import Column, Detector, DetectorInfo, Features, joined, per_expert
from analysis.detectors.linear import fit_platt
from analysis.detectors.signals import Signals

INFO = DetectorInfo(
    name="routescan",
    summary="How the prompt's tokens spread over the experts of each layer, by logistic regression with Platt scaling.",
    window="prompt",
    source="RouteScan, arXiv 2605.24817; the formulas of the summaries are ours",
)
SUMMARIES = ("coverage", "entropy", "gap", "concentration")


def features(signals: Signals) -> Features:
    """Load of every expert, then coverage, entropy, gap and concentration of every layer."""
    summaries = [layer_summaries(signals.load[:, i, :count]) for i, count in enumerate(signals.experts)]
    columns = tuple(Column(kind, layer) for layer in signals.layers for kind in SUMMARIES)
    return joined(per_expert(signals.load, signals, "load"), Features(np.concatenate(summaries, axis=1), columns))


def layer_summaries(load: Float[np.ndarray, "prompts experts"]) -> Float[np.ndarray, "prompts 4"]:
    """Coverage, entropy (bits), gap and concentration of one layer's load, which sums to 1 for each prompt."""
    present = load > 0
    entropy = -(load * np.log2(np.where(present, load, 1))).sum(1)
    ordered = np.sort(load, axis=1)
    second = ordered[:, -2] if load.shape[1] > 1 else np.zeros(len(load))
    return np.stack([present.mean(1), entropy, ordered[:, -1] - second, (load**2).sum(1)], axis=1)


DETECTOR = Detector(INFO, features, fit_platt)
