"""Each criterion against numbers worked by hand or an independent implementation."""

import numpy as np
import pytest
from scipy import stats

from analysis.criteria import CRITERIA, Evidence
from analysis.criteria.ablation import ablation
from analysis.criteria.raset import raset
from analysis.criteria.raset_gradient import raset_gradient
from analysis.criteria.safex import safex
from analysis.errors import WithheldError
from analysis.routing.summary import PairRows


def evidence(frequency: np.ndarray, topics: list[str], **more: object) -> Evidence:
    """Pairs: even rows are harmful, odd rows their benign twins."""
    rows = np.arange(len(frequency))
    pairs = PairRows(rows[::2], rows[1::2], tuple(topics))
    return Evidence(frequency.astype(np.float32), rows[::2], pairs, 0, **more)  # type: ignore[arg-type]


@pytest.fixture
def four_pairs() -> Evidence:
    rng = np.random.default_rng(3)
    return evidence(rng.random((8, 2, 3)), ["a", "a", "b", "b"])


def test_raset_is_the_moderated_paired_t(four_pairs: Evidence) -> None:
    found = raset(four_pairs)
    difference = (four_pairs.frequency[::2] - four_pairs.frequency[1::2]).reshape(4, -1).astype(float)
    error = difference.std(0, ddof=1) / 2
    expected = np.abs(difference.mean(0) / (error + np.median(error))).reshape(2, 3)
    np.testing.assert_allclose(found.score, expected, rtol=1e-6)
    np.testing.assert_allclose(found.columns["delta"], difference.mean(0).reshape(2, 3), rtol=1e-6)


def test_raset_contrast_score_subtracts_the_within_topic_noise() -> None:
    # one expert; benign twins 0.1, 0.3 in topic a and 0.5, 0.5 in b: pooled variance (0.02 + 0) / 2 = 0.01
    frequency = np.array([0.9, 0.1, 0.9, 0.3, 0.9, 0.5, 0.9, 0.5]).reshape(8, 1, 1)
    found = raset(evidence(frequency, ["a", "a", "b", "b"]))
    delta = (0.8 + 0.6 + 0.4 + 0.4) / 4
    assert found.columns["crs"][0, 0] == pytest.approx(delta - np.sqrt(2 * 0.01), abs=1e-6)


def test_raset_q_values_are_those_of_scipy_for_the_same_p(four_pairs: Evidence) -> None:
    q = raset(four_pairs).columns["q"].ravel()
    assert (q <= 1).all()
    assert q.min() >= 2 / 2**4 - 0.05, "four pairs cannot give a two-sided p below 1/8"
    assert np.all(stats.rankdata(q) > 0)


def test_safex_finds_the_busiest_experts_and_no_more() -> None:
    frequency = np.zeros((8, 1, 20))
    frequency[:, 0, [4, 9]] = 0.9
    frequency[:, 0, 7] = 0.5
    found = safex(evidence(frequency, ["a", "b", "c", "d"]))
    assert found.score[0].nonzero()[0].tolist() == [4, 9], "a tenth of 20 experts is two"
    assert found.score[0, [4, 9]].tolist() == [1, 1]


def test_gradient_score_is_the_mean_over_harmful_prompts_with_the_contrast_beside_it() -> None:
    harmful, benign = np.ones((2, 1, 2)), np.array([[[3.0, 0.0]]])
    given = evidence(np.ones((4, 1, 2)), ["a", "b"], gradient_harmful=harmful, gradient_benign=benign)
    found = raset_gradient(given)
    assert found.score.tolist() == [[1.0, 1.0]]
    assert found.columns["contrast"].tolist() == [[-2.0, 1.0]]


@pytest.mark.parametrize("criterion", [ablation, raset_gradient])
def test_without_a_margin_the_causal_scores_are_withheld(criterion, four_pairs: Evidence) -> None:
    with pytest.raises(WithheldError, match="needs a refusal margin"):
        criterion(four_pairs)


def test_one_pair_is_too_few_for_raset() -> None:
    with pytest.raises(WithheldError, match="at least 2 matched pairs in the discovery half, found 1"):
        raset(evidence(np.ones((2, 1, 2)), ["a"]))


def test_every_criterion_says_its_window_unit_and_source() -> None:
    for name, (info, _) in CRITERIA.items():
        assert info.name == name
        assert all((info.summary, info.window, info.unit, info.source))
