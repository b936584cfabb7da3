"""How far one prompt's routing lies from the harmful and from the benign prompts of an audit. Our formalisation.

Let q[l](x) be the share of layer l's selections over the prompt's tokens that each expert has (f/k, it sums to 1 over
experts), and Q[l](G) its mean over the prompts of a group. The distance is D(x, G) = mean over layers of
JSD(q[l](x), Q[l](G)), base 2, in [0, 1]; the lean is D(x, benign) − D(x, harmful), above 0 nearer to the harmful ones.

A distance alone says little: short prompts lie far from any mean. So the audit's own prompts are measured in the same
way, each against means that leave out its own pair (its twin is like it in everything but harm): where they lie, and
how well the lean tells the audit's harmful prompts from its benign ones (AUROC).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.detectors.folds import clusters_of, units_of
from analysis.detectors.metrics import auroc, resampling
from analysis.errors import WithheldError
from analysis.playground.answer import Distance, GroupDistance
from analysis.playground.reference import AuditReference
from analysis.prompts.prompt_set import Prompt
from analysis.routing.recorder import PROMPT
from analysis.routing.topic_safety import jensen_shannon

LABELS = ("harmful", "benign")
FEWEST = 5
"""A group of fewer prompts has no mean worth a distance."""
RANGE = (0.05, 0.5, 0.95)
Array = npt.NDArray[np.floating[Any]]


def distance_to_audit(selections: npt.NDArray[Any], text: str, audit: AuditReference, *, seed: int = 0) -> Distance:
    """The distance of a prompt with `selections` [layers, experts] over its own tokens.

    Prompts of the audit with the same text, and their pairs, are left out of the means. Raises WithheldError for an
    audit with fewer than 5 prompts of a label.
    """
    rows = [i for i, prompt in enumerate(audit.prompts) if prompt.side is not None]
    prompts = [audit.prompts[i] for i in rows]
    harmful = np.array([prompt.side == "harmful" for prompt in prompts], dtype=bool)
    asked = _same(prompts, text)
    for label, members in (("harmful", harmful), ("benign", ~harmful)):
        left = int((members & ~asked).sum())
        if left < FEWEST:
            raise WithheldError(f"the audit has {left} {label} prompts to compare with: at least {FEWEST} are needed")
    shares = _shares(audit.counts.counts[rows, PROMPT])
    own, known = _distances(_shares(selections[None])[0], shares, harmful, asked, _unit_rows(prompts))
    leans = known[:, 1] - known[:, 0]
    drawn = resampling(clusters_of(prompts), seed=seed)
    groups = tuple(
        _group(label, own[side], known[members, side], int((members & ~asked).sum()))
        for side, (label, members) in enumerate(zip(LABELS, (harmful, ~harmful), strict=True))
    )
    lean = groups[1].mean - groups[0].mean
    return Distance(
        run_id=audit.run_id,
        layers=audit.layers,
        groups=groups,
        lean=lean,
        harmful_reaching=int((harmful & (leans >= lean)).sum()),
        benign_reaching=int((~harmful & (leans >= lean)).sum()),
        auroc=drawn.interval(auroc(leans, harmful, drawn.weights)).as_dict(),
    )


def _distances(
    share: Array,
    shares: Array,
    harmful: npt.NDArray[np.bool_],
    asked: npt.NDArray[np.bool_],
    units: npt.NDArray[np.intp],
) -> tuple[Array, Array]:
    """Of the prompt: [groups, layers]. Of every known prompt: [prompts, groups], averaged over layers.

    Layer by layer, so that the largest models need no more memory than their counts.
    """
    own, known = np.zeros((2, shares.shape[1])), np.zeros((len(shares), 2))
    for layer in range(shares.shape[1]):
        values = shares[:, layer].astype(np.float64)
        for side, members in enumerate((harmful, ~harmful)):
            inside = values * members[:, None]
            mean = inside[~asked].sum(0) / (members & ~asked).sum()
            own[side, layer] = jensen_shannon(share[layer], mean)
            known[:, side] += jensen_shannon(values, _means_without_own(inside, members, units))
    return own, known / shares.shape[1]


def _means_without_own(inside: Array, members: npt.NDArray[np.bool_], units: npt.NDArray[np.intp]) -> Array:
    """The group's mean for each prompt [prompts, experts], the prompt's own unit left out; `inside` is 0 outside it."""
    count = units.max() + 1
    sums, sizes = np.zeros((count, inside.shape[1])), np.zeros(count)
    np.add.at(sums, units, inside)
    np.add.at(sizes, units, members)
    rest: Array = (inside.sum(0) - sums[units]).clip(0) / (members.sum() - sizes[units])[:, None]
    return rest


def _group(label: str, per_layer: Array, known: Array, prompts: int) -> GroupDistance:
    low, median, high = (float(value) for value in np.quantile(known, RANGE))
    layers = tuple(float(value) for value in per_layer)
    return GroupDistance(label, prompts, float(per_layer.mean()), layers, low, median, high)


def _shares(counts: npt.NDArray[Any]) -> Array:
    """Counts [prompts, layers, experts] as shares of their layer's selections."""
    shares: Array = (counts / counts.sum(-1, keepdims=True)).astype(np.float32)
    return shares


def _unit_rows(prompts: Sequence[Prompt]) -> npt.NDArray[np.intp]:
    _, index = np.unique(np.array(units_of(prompts)), return_inverse=True)
    return index.astype(np.intp)


def _same(prompts: Sequence[Prompt], text: str) -> npt.NDArray[np.bool_]:
    """Which prompts are the one that was asked, or paired with it."""
    units = units_of(prompts)
    known = {unit for unit, prompt in zip(units, prompts, strict=True) if prompt.text.strip() == text.strip()}
    return np.array([unit in known for unit in units], dtype=bool)
