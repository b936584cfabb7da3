"""The divergence used for truth, against values worked by hand and against scipy."""

import numpy as np
from scipy.spatial.distance import jensenshannon

from analysis.organisms.contrast import divergence


def test_equal_distributions_have_none_and_disjoint_ones_a_whole_bit() -> None:
    left, right = np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    assert divergence(left, left)[0] == 0.0
    assert divergence(left, right)[0] == 1.0


def test_mean_over_layers_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(16), size=(2, 5, 4))
    expected = jensenshannon(p, q, base=2, axis=-1) ** 2
    np.testing.assert_allclose(divergence(p, q), expected.mean(axis=-1), atol=1e-12)
