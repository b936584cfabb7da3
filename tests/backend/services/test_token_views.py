"""One number a token, a profile over layers, and the experts worth a look, worked by hand."""

import numpy as np
import pytest

from analysis.routing.token_trace import NO_EXPERT, TokenTrace
from backend.services import expert_choices, expert_view, mass_view, stand_ins


@pytest.fixture
def trace() -> TokenTrace:
    """Two layers of three experts, k = 2, two routed tokens and one that was not."""
    none = [NO_EXPERT] * 2
    ids = np.array([[[0, 1], [2, 1], none], [[1, 0], [1, 2], none]], dtype=np.uint16)
    weights = np.array([[[0.75, 0.25], [0.5, 0.5], [0, 0]], [[1.5, 0.5], [1, 1], [0, 0]]], dtype=np.float16)
    return TokenTrace("p", ("a", "b", "c"), (False,) * 3, ("prompt", "boundary", "response"), (2, 5), 3, ids, weights)


def test_a_mass_is_shown_in_one_layer_or_over_all(trace: TokenTrace) -> None:
    np.testing.assert_allclose(mass_view(trace, [(2, 1)], None).values, [0.125, 0.25, np.nan])
    view = mass_view(trace, [(2, 1)], 2)
    np.testing.assert_allclose(view.values, [0.25, 0.5, np.nan])
    np.testing.assert_allclose(view.profile, [0.375, 0])
    assert [(one.layer, one.expert) for one in view.tops[0]] == [(2, 0), (2, 1)]


def test_an_expert_is_shown_with_its_weight_and_the_other_layers_with_their_stand_in(trace: TokenTrace) -> None:
    view = expert_view(trace, (5, 0), [], None)
    np.testing.assert_allclose(view.values, [0.5, 0, np.nan])
    # In layer 2 experts 0 and 1 have a mean share of 0.375 each: the first of them stands in, with weights 0.75 and 0.
    np.testing.assert_allclose(view.profile, [0.375, 0.25])
    assert len(view.tops[0]) == 4


def test_flagged_experts_stand_in_for_their_layer(trace: TokenTrace) -> None:
    assert stand_ins(trace, []) == {2: 0, 5: 1}
    assert stand_ins(trace, [(5, 2)]) == {2: 0, 5: 2}


def test_choices_are_flagged_ones_first_then_by_share(trace: TokenTrace) -> None:
    assert expert_choices(trace, [(2, 2)], None, most=3) == [(2, 2), (5, 1), (2, 0)]
    assert expert_choices(trace, [], 5) == [(5, 1), (5, 2), (5, 0)]
