"""Distances against scipy's Jensen–Shannon, and the audit's own prompts held against means without their pair."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from analysis.errors import WithheldError
from analysis.playground.distance import distance_to_audit
from analysis.playground.reference import AuditReference
from analysis.prompts import Prompt
from analysis.result import PromptCounts

PAIRS, LAYERS, EXPERTS = 6, 2, 4


def jsd(left: np.ndarray, right: np.ndarray) -> float:
    return float(jensenshannon(left, right, base=2) ** 2)


def shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(-1, keepdims=True)


def make_audit(pairs: int = PAIRS, seed: int = 1) -> AuditReference:
    """Harmful and benign prompts in turn, pairs together; the prompt window has random counts."""
    random = np.random.default_rng(seed)
    prompts = tuple(
        Prompt(f"{label[0]}{pair}", f"{label} {pair}", label, f"topic {pair % 3}", f"p{pair}")  # type: ignore[arg-type]
        for pair in range(pairs)
        for label in ("harmful", "benign")
    )
    counts = random.integers(1, 30, (len(prompts), 3, LAYERS, EXPERTS)).astype(np.uint32)
    tokens = np.ones((len(prompts), 3), dtype=np.uint32)
    ids = tuple(prompt.id for prompt in prompts)
    return AuditReference("audit", "a" * 64, 0, (1, 3), prompts, PromptCounts(ids, counts, tokens), ())


ASKED = np.array([[9, 1, 5, 5], [2, 2, 2, 14]], dtype=np.uint32)


def test_a_distance_is_the_mean_over_layers_of_the_jsd_to_the_groups_mean_share() -> None:
    audit = make_audit()
    found = distance_to_audit(ASKED, "new", audit)
    every = shares(audit.counts.counts[:, 0])
    for place, start in ((0, 0), (1, 1)):
        mean = every[start::2].mean(0)
        layers = [jsd(shares(ASKED)[layer], mean[layer]) for layer in range(LAYERS)]
        assert found.groups[place].per_layer == pytest.approx(layers, abs=1e-6)
        assert found.groups[place].mean == pytest.approx(np.mean(layers), abs=1e-6)
    assert [group.label for group in found.groups] == ["harmful", "benign"]
    assert [group.prompts for group in found.groups] == [PAIRS, PAIRS]
    assert found.lean == pytest.approx(found.groups[1].mean - found.groups[0].mean)


def own_distances(audit: AuditReference) -> np.ndarray:
    """[prompts, groups]: every prompt against means without its own pair, one by one."""
    every = shares(audit.counts.counts[:, 0])
    found = np.zeros((len(every), 2))
    for row in range(len(every)):
        others = [i for i in range(len(every)) if i // 2 != row // 2]
        for group in (0, 1):
            mean = every[[i for i in others if i % 2 == group]].mean(0)
            found[row, group] = np.mean([jsd(every[row, layer], mean[layer]) for layer in range(LAYERS)])
    return found


def test_the_audits_own_prompts_are_held_against_means_without_their_pair() -> None:
    audit = make_audit()
    found, own = distance_to_audit(ASKED, "new", audit), own_distances(audit)
    for group in (0, 1):
        low, median, high = np.quantile(own[group::2, group], [0.05, 0.5, 0.95])
        shown = found.groups[group]
        assert (shown.low, shown.median, shown.high) == pytest.approx((low, median, high), abs=1e-6)


def test_the_leans_worth_is_the_share_of_pairs_of_prompts_in_the_right_order() -> None:
    audit = make_audit()
    found, own = distance_to_audit(ASKED, "new", audit), own_distances(audit)
    leans = own[:, 1] - own[:, 0]
    won = np.mean([leans[h] > leans[b] for h in range(0, 2 * PAIRS, 2) for b in range(1, 2 * PAIRS, 2)])
    assert found.auroc["estimate"] == pytest.approx(won)
    assert found.harmful_reaching == int((leans[0::2] >= found.lean).sum())
    assert found.benign_reaching == int((leans[1::2] >= found.lean).sum())


def test_a_prompt_that_the_audit_has_is_held_against_means_without_it_and_its_pair() -> None:
    audit = make_audit()
    found = distance_to_audit(audit.counts.counts[2, 0], " harmful 1 ", audit)
    own = own_distances(audit)[2]
    assert [group.mean for group in found.groups] == pytest.approx(own, abs=1e-6)
    assert [group.prompts for group in found.groups] == [PAIRS - 1, PAIRS - 1]


def test_a_prompt_like_the_harmful_ones_leans_to_them() -> None:
    audit = make_audit()
    counts = audit.counts.counts
    counts[0::2, 0], counts[1::2, 0] = [[20, 1, 1, 1]], [[1, 1, 1, 20]]
    found = distance_to_audit(np.array([[19, 1, 1, 1]] * 2, dtype=np.uint32), "new", audit)
    assert found.lean > 0.5
    assert found.auroc["estimate"] == 1.0


def test_too_few_prompts_of_a_label_withhold_it() -> None:
    with pytest.raises(WithheldError, match="the audit has 4 harmful prompts to compare with: at least 5"):
        distance_to_audit(ASKED, "new", make_audit(pairs=4))
