"""Each criterion against numbers worked by hand or an independent implementation."""

import numpy as np
import pytest
from scipy import stats

from analysis.criteria import CRITERIA, Evidence
from analysis.criteria.ablation import ablation
from analysis.criteria.gatebreaker import gatebreaker
from analysis.criteria.integrated import integrated
from analysis.criteria.lobotomy import lobotomy
from analysis.criteria.raset import raset
from analysis.criteria.raset_gradient import raset_gradient
from analysis.criteria.routehijack import routehijack
from analysis.criteria.safex import safex
from analysis.criteria.sequence_classifier import SequenceReading
from analysis.errors import WithheldError
from analysis.routing.summary import PairRows


def evidence(frequency: np.ndarray, pair_topics: list[str], **more: object) -> Evidence:
    """Pairs: even rows are harmful, odd rows their benign twins. Rows beyond those of `pair_topics` are jailbreaks."""
    rows = np.arange(2 * len(pair_topics))
    pairs = PairRows(rows[::2], rows[1::2], tuple(pair_topics))
    given = {"benign_rows": rows[1::2], "jailbreak_rows": np.arange(len(rows), len(frequency)), **more}
    return Evidence(frequency.astype(np.float32), rows[::2], pairs, 0, **given)  # type: ignore[arg-type]


def busy(*experts: int) -> np.ndarray:
    """A prompt of one layer of 20 experts that uses `experts` much; [1, 1, 20]."""
    row = np.zeros((1, 1, 20))
    row[..., list(experts)] = 0.9
    return row


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


def test_an_expert_is_strict_only_when_no_resample_leaves_it_out() -> None:
    # a tenth of 20 experts is two; expert 2 is second in four topics of five and gives way to 3 in the fifth
    frequency = np.concatenate([row for i in range(5) for row in (busy(1, 2 if i < 4 else 3), busy())])
    frequency[8] *= 1.1
    found = safex(evidence(frequency, [*"abcde"], topics=(*"aabbccddee",)))
    assert found.columns["strict"][0].nonzero()[0].tolist() == [1]
    assert found.score[0, 2] + found.score[0, 3] == pytest.approx(1)
    assert 0.8 < found.score[0, 2] < 1


def test_topics_are_drawn_as_a_whole() -> None:
    """Sixteen of 20 prompts are of topic a and keep expert 4 busy; four other topics, one prompt each, use expert 7."""
    names = ["a"] * 16 + [*"bcde"]
    rows = [row for name in names for row in (busy(1, 4 if name == "a" else 7), busy())]
    frequency, topics = np.concatenate(rows), tuple(name for name in names for _ in range(2))
    by_topic = safex(evidence(frequency, names, topics=topics))
    assert by_topic.score[0, 4] == pytest.approx(1 - 0.8**5, abs=0.12), "unless topic a is left out of all five draws"
    by_prompt = safex(evidence(frequency, names))
    assert by_prompt.score[0, 4] == 1


def jailbroken(regular: np.ndarray, jailbreak: np.ndarray) -> Evidence:
    """Six topics, each with a harmful prompt, an idle twin and a jailbreak."""
    pairs = np.concatenate([row for _ in range(6) for row in (regular, busy())])
    topics = (*"aabbccddeeff", *"abcdef")
    return evidence(np.concatenate([pairs, *[jailbreak] * 6]), [*"abcdef"], topics=topics)


def test_experts_busy_on_jailbreaks_too_are_hcdg_and_those_that_jailbreaks_avoid_are_hrcg() -> None:
    found = safex(jailbroken(busy(1, 2), busy(1, 5)))
    assert found.columns["hcdg"][0].nonzero()[0].tolist() == [1]
    assert found.columns["hrcg"][0].nonzero()[0].tolist() == [2]
    assert found.columns["margin"][0, [1, 2, 5]] == pytest.approx([0, 0.9, -0.9], abs=1e-6)
    assert not found.withheld


def test_an_hrcg_expert_needs_a_control_margin_above_zero() -> None:
    # expert 2 leaves the top of the jailbreaks only because 5 comes in: it is used as much as before
    crowded = busy(1, 2, 5)
    crowded[..., [1, 5]] = 1
    found = safex(jailbroken(busy(1, 2), crowded))
    assert found.score[0, 2] == 1, "it is in the top of the regular prompts"
    assert found.columns["stability_jailbreak"][0, 2] == 0
    assert found.columns["hrcg"].sum() == 0


@pytest.mark.parametrize(("pairs", "jailbreaks"), [(4, 0), (4, 1), (2, 2)])
def test_without_jailbreaks_the_groups_are_withheld_and_the_stability_stands(pairs: int, jailbreaks: int) -> None:
    frequency = np.concatenate([row for _ in range(pairs) for row in (busy(1), busy())] + [busy(1)] * jailbreaks)
    found = safex(evidence(frequency, ["a"] * pairs))
    assert found.score[0, 1] == 1
    assert set(found.columns) == {"frequency", "strict"}
    assert f"the discovery half has {jailbreaks} and {pairs}" in found.withheld["hcdg"]


def test_gatebreaker_is_use_on_harmful_prompts_whatever_the_benign_ones_do() -> None:
    frequency = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [0.9, 0.1]]).reshape(4, 1, 2)
    assert gatebreaker(evidence(frequency, ["a", "b"])).score[0] == pytest.approx([0.3, 0.7])


def test_routehijack_takes_the_square_of_general_use_off_the_contrast() -> None:
    frequency = np.array([[0.5, 0.9], [0.1, 0.8], [0.7, 0.7], [0.3, 0.6]]).reshape(4, 1, 2)
    found = routehijack(evidence(frequency, ["a", "b"]))
    # expert 0: Δ = 0.4, general use 0.2; expert 1: Δ = 0.1, general use 0.7
    assert found.score[0] == pytest.approx([0.4 - 0.04, 0.1 - 0.49])
    assert found.columns["general"][0] == pytest.approx([0.2, 0.7])


def test_integrated_is_the_mean_credit_over_harmful_prompts() -> None:
    credit = np.array([[[1.0, -2.0]], [[3.0, 0.0]]])
    assert integrated(evidence(np.ones((4, 1, 2)), ["a", "b"], integrated=credit)).score.tolist() == [[2.0, -1.0]]


def test_lobotomy_is_the_mean_attribution_of_harmful_prompts_with_the_accuracy_beside_it() -> None:
    # two harmful prompts of which one is read right, three benign ones of which all are
    reading = SequenceReading(
        attribution=np.array([[[1.0, 0.0]], [[2.0, 4.0]], [[9.0, 9.0]], [[9.0, 9.0]], [[9.0, 9.0]]], dtype=np.float32),
        logit=np.array([1.0, -1.0, -1.0, -2.0, -3.0], dtype=np.float32),
        harmful=np.array([True, True, False, False, False]),
    )
    found = lobotomy(evidence(np.ones((4, 1, 2)), ["a", "b"], sequence=reading))
    assert found.score.tolist() == [[1.5, 2.0]]
    assert found.columns["held_out_accuracy"].tolist() == [[0.75, 0.75]]


def test_too_few_prompts_are_said_by_number() -> None:
    with pytest.raises(WithheldError, match="8 harmful and 8 benign prompts in the discovery half, found 2 and 2"):
        lobotomy(evidence(np.ones((4, 1, 2)), ["a", "b"]))
    enough = evidence(np.ones((16, 1, 2)), [*"abcdefgh"])
    with pytest.raises(WithheldError, match="token by token, and a trace keeps counts"):
        lobotomy(enough)
    with pytest.raises(WithheldError, match="at least 2 matched pairs in the discovery half, found 1"):
        routehijack(evidence(np.ones((2, 1, 2)), ["a"]))
    with pytest.raises(WithheldError, match="harmful prompts in the discovery half, found none"):
        gatebreaker(evidence(np.ones((0, 1, 2)), []))


def test_gradient_score_is_the_mean_over_harmful_prompts_with_the_contrast_beside_it() -> None:
    harmful, benign = np.ones((2, 1, 2)), np.array([[[3.0, 0.0]]])
    given = evidence(np.ones((4, 1, 2)), ["a", "b"], gradient_harmful=harmful, gradient_benign=benign)
    found = raset_gradient(given)
    assert found.score.tolist() == [[1.0, 1.0]]
    assert found.columns["contrast"].tolist() == [[-2.0, 1.0]]


@pytest.mark.parametrize("criterion", [ablation, raset_gradient, integrated])
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
