"""What the keeper makes of calls that no shipped family makes: layers with different k."""

from types import SimpleNamespace

import numpy as np
import torch

from analysis.routing.token_keeper import NO_EXPERT, TokenKeeper


def test_a_layer_with_a_smaller_k_is_filled_up() -> None:
    keeper = TokenKeeper([SimpleNamespace(), SimpleNamespace()], (1,), torch.device("cpu"))
    wide = torch.tensor([[[[0, 1], [0, 1]], [[2, 3], [3, 2]]]])  # [layer, batch, tokens, k]; the first token is a pad
    narrow = torch.tensor([[[[4], [4]], [[5], [6]]]])
    keeper.add_prompt(torch.tensor([0]), wide, wide / 10)
    keeper.add_prompt(torch.tensor([1]), narrow, narrow / 10)
    keeper.add_answer(0, torch.tensor([[[7, 7]], [[1, 0]]]), torch.tensor([[[0.0, 0.0]], [[0.5, 0.25]]]))
    keeper.add_answer(1, torch.tensor([[[7]], [[2]]]), torch.tensor([[[0.0]], [[0.75]]]))
    kept = keeper.fetch().sequence(0, prompt=(11,), answer=(12, 13), fed=1)
    assert kept.tokens == (11, 12, 13)
    assert kept.prompt == 1
    none = [NO_EXPERT, NO_EXPERT]
    np.testing.assert_array_equal(kept.ids, [[[3, 2], [1, 0], none], [[6, NO_EXPERT], [2, NO_EXPERT], none]])
    np.testing.assert_allclose(
        kept.weights, [[[0.3, 0.2], [0.5, 0.25], [0, 0]], [[0.6, 0], [0.75, 0], [0, 0]]], atol=1e-3
    )
