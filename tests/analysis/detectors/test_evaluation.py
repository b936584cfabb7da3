"""Known answers: what carries over to new topics, what only looks so, and what is noise."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.detectors import DETECTORS
from analysis.detectors.base import Features
from analysis.detectors.evaluation import Table, evaluate, labels_of, out_of_fold
from analysis.detectors.folds import Fold, units_of
from analysis.detectors.linear import LinearScorer
from analysis.detectors.signals import Signals
from analysis.prompts.prompt_set import Prompt
from tests.analysis.detectors.synthetic import one_direction, own_directions, pairs, signals

ALL = pytest.mark.parametrize("name", DETECTORS)


def tables(name: str, what: Signals, seed: int = 0, *, compare: bool = False) -> dict[str, Table]:
    found, _ = evaluate(DETECTORS[name], what, seed=seed, draws=2, compare=compare)
    return {table.scheme: table for table in found}


@ALL
def test_harm_that_looks_the_same_everywhere_is_found_in_topics_never_seen(name: str) -> None:
    found = tables(name, signals(pairs(8, 8), one_direction(8), topics=0.5))
    for table in found.values():
        assert table.detector.auroc.low > 0.9
        assert table.detector.within_category.low > 0.9


@pytest.mark.parametrize("name", ["router_logits", "nearest"])
def test_harm_that_looks_otherwise_in_each_topic_is_found_in_known_topics_alone(name: str) -> None:
    found = tables(name, signals(pairs(8, 10), own_directions(), topics=0.2))
    assert found["kfold"].detector.auroc.low > 0.95
    assert found["leave_category_out"].detector.auroc.estimate < 0.6
    assert found["leave_category_out"].detector.within_category.estimate < 0.6


def test_summaries_carry_over_where_harm_concentrates_load_whatever_the_experts() -> None:
    """The same prompts: routescan needs no known expert to see that a load became uneven."""
    found = tables("routescan", signals(pairs(8, 10), own_directions(), topics=0.2))
    assert found["leave_category_out"].detector.auroc.low > 0.9


@ALL
def test_harm_tied_to_topic_is_exposed_by_leaving_topics_out(name: str) -> None:
    """Every topic is all harmful or all benign, and routing tells the topic alone."""
    prompts = [
        Prompt(f"{t}-{i}", "the same words", "harmful" if t % 2 else "benign", f"topic {t:02d}")
        for t in range(12)
        for i in range(12)
    ]
    found = tables(name, signals(prompts, topics=2.0))
    plain, hard = found["kfold"], found["leave_category_out"]
    assert plain.detector.auroc.low > 0.8
    assert hard.detector.auroc.estimate < 0.6
    assert hard.detector.auroc.low < 0.5
    assert "no topic has both" in hard.withheld["within_category"]
    assert hard.detector.within_category.estimate is None


@ALL
def test_random_labels_give_one_half(name: str) -> None:
    """A coin says which twin is harmful. What is then found lies around one half, and most intervals hold it."""
    intervals = []
    for seed in range(6 if name != "routescan" else 1):
        rng = np.random.default_rng(seed)
        prompts, given = [], pairs(12, 5)
        for one, other in zip(given[::2], given[1::2], strict=True):
            flip = rng.random() < 0.5
            prompts += [replace(one, label=other.label), replace(other, label=one.label)] if flip else [one, other]
        intervals.append(tables(name, signals(prompts, seed=seed))["leave_category_out"].detector.auroc)
    assert 0.45 < np.mean([one.estimate for one in intervals]) < 0.55
    assert np.mean([one.low < 0.5 < one.high for one in intervals]) >= 4 / 6
    assert intervals[0].low < 0.5 < intervals[0].high


def test_baselines_stand_in_the_same_table_and_are_compared_draw_by_draw() -> None:
    table = tables("router_logits", signals(pairs(8, 8), one_direction(8), topics=0.5), compare=True)[
        "leave_category_out"
    ]
    rows = {row.name: row for row in table.rows}
    others = ["selected_experts", "random_experts", "random_features", "layer_inputs", "words", "prompt_length"]
    assert list(rows) == ["router_logits", *others]
    assert [rows[name].draws for name in others] == [1, 2, 2, 1, 1, 1]
    # The words are always the same, so nothing can be read in them.
    assert rows["words"].auroc.estimate == 0.5
    assert rows["prompt_length"].auroc.low < 0.5 < rows["prompt_length"].auroc.high
    assert rows["words"].behind_detector.estimate == pytest.approx(rows["router_logits"].auroc.estimate - 0.5)
    assert rows["words"].behind_detector.low > 0.4
    assert rows["router_logits"].behind_detector is None
    assert rows["random_experts"].columns == 2 * (8 // 4)


def test_a_vote_has_no_heaviest_experts() -> None:
    rows = tables("nearest", signals(pairs(4, 6)), compare=True)["kfold"].rows
    assert "selected_experts" not in {row.name for row in rows}


def test_the_rate_at_one_percent_needs_a_hundred_benign_prompts() -> None:
    few = tables("nearest", signals(pairs(5, 19), one_direction(5)))["kfold"]
    assert few.detector.tpr_at_1_fpr.estimate is None
    assert few.withheld["tpr_at_1_fpr"] == "needs at least 100 benign prompts, found 95"
    assert few.threshold_at_1_fpr is None
    enough = tables("nearest", signals(pairs(5, 20), one_direction(5)))["kfold"]
    assert enough.detector.tpr_at_1_fpr.estimate > 0.5
    assert "tpr_at_1_fpr" not in enough.withheld
    benign = enough.probability[~labels_of(signals(pairs(5, 20)))]
    assert (benign >= enough.threshold_at_1_fpr).mean() <= 0.01


def test_categories_are_measured_alone_on_fits_that_did_not_see_them() -> None:
    what = signals(pairs(4, 10), one_direction(4), topics=0.5)
    table = tables("router_logits", what)["leave_category_out"]
    assert [one.topic for one in table.categories] == ["topic 00", "topic 01", "topic 02", "topic 03"]
    detector = DETECTORS["router_logits"]
    harmful, topics = labels_of(what), np.array([p.topic for p in what.prompts])
    for one in table.categories:
        inside = topics == one.topic
        values = detector.features(what).values
        scorer = detector.fit(values[~inside], harmful[~inside], units_of(what.prompts))
        margins, mine = scorer.probability(values[inside]), harmful[inside]
        wins = [(a > b) + (a == b) / 2 for a in margins[mine] for b in margins[~mine]]
        assert one.auroc.estimate == pytest.approx(np.mean(wins))
        assert (one.harmful, one.benign) == (10, 10)
    mean = np.mean([one.auroc.estimate for one in table.categories])
    assert table.detector.within_category.estimate == pytest.approx(mean)


def test_prompts_without_a_topic_are_not_scored_where_topics_are_left_out() -> None:
    loose = [Prompt(f"x{i}", "a", "harmful" if i % 2 else "benign") for i in range(6)]
    table = tables("nearest", signals([*pairs(3, 6), *loose]))["leave_category_out"]
    assert np.isnan(table.probability[-6:]).all()
    assert not np.isnan(table.probability[:-6]).any()
    assert table.withheld["scores"].startswith("6 prompts have no topic")


def test_without_topics_the_hard_table_is_withheld_with_its_reason() -> None:
    prompts = [replace(p, topic=None) for p in pairs(4, 6)]
    found, withheld = evaluate(DETECTORS["nearest"], signals(prompts), draws=2)
    assert [table.scheme for table in found] == ["kfold"]
    assert "at least two topics" in withheld["leave_category_out"]


def test_nothing_of_a_test_fold_reaches_the_fit() -> None:
    """Test rows are moved by a million: what the others are scored by does not change."""
    what = signals(pairs(3, 8), one_direction(3))
    detector, harmful, units = DETECTORS["routescan"], labels_of(what), units_of(what.prompts)
    features = detector.features(what)
    test = np.arange(16)
    train = np.arange(16, len(what))
    moved = features.values.copy()
    moved[test] += 1e6
    fits: list[LinearScorer] = []

    def keep(values: np.ndarray, labels: np.ndarray, groups: list[str]) -> LinearScorer:
        fits.append(detector.fit(values, labels, groups))
        return fits[-1]

    for values in (features.values, moved):
        found = out_of_fold(Features(values, features.columns), keep, harmful, units, [Fold(train, test)])
        assert np.isnan(found[train]).all()
    for name in ("mean", "scale", "weights"):
        np.testing.assert_array_equal(getattr(fits[0], name), getattr(fits[1], name))


@ALL
def test_the_same_seed_gives_the_same_tables(name: str) -> None:
    what = signals(pairs(5, 5), one_direction(5))
    first, second = (tables(name, what, seed=4, compare=name == "nearest") for _ in range(2))
    for scheme, table in first.items():
        assert table.rows == second[scheme].rows
        np.testing.assert_array_equal(table.probability, second[scheme].probability)
