"""steermoe against a table worked by hand, and against a token-by-token count on a real trace."""

import numpy as np
import pytest

from analysis import capture, force_answers, load_model, load_prompts, score
from analysis.criteria import CRITERIA, Evidence
from analysis.criteria.steermoe import steermoe
from analysis.errors import WithheldError
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.forced import ForcedFrequency
from analysis.routing.summary import PairRows
from analysis.routing.trace import CaptureSettings


def evidence(forced: ForcedFrequency | None) -> Evidence:
    none = np.empty(0, dtype=np.intp)
    return Evidence(np.zeros((0, 1, 3), np.float32), none, PairRows(none, none, ()), 0, forced=forced)


def test_the_risk_difference_worked_by_hand() -> None:
    refusal = np.array([[[0.5, 0.25, 0.25]], [[0.75, 0.25, 0.0]]], dtype=np.float32)
    stand_in = np.array([[[0.25, 0.5, 0.25]], [[0.0, 0.5, 0.5]]], dtype=np.float32)
    found = steermoe(evidence(ForcedFrequency(refusal, stand_in, ("a", "b"))))
    # (0.25 + 0.75) / 2, (−0.25 − 0.25) / 2, (0 − 0.5) / 2
    np.testing.assert_allclose(found.columns["rd"], [[0.5, -0.25, -0.25]])
    np.testing.assert_allclose(found.score, [[0.5, 0.25, 0.25]])


def test_a_real_trace_agrees_with_a_count_over_tokens() -> None:
    model, everything = load_model("organism:planted", device="cpu"), load_prompts("builtin:organism")
    some = PromptSet("some", tuple(p for p in everything if p.topic in everything.topics[:6])[:96])
    trace = capture(model, some, CaptureSettings(max_new_tokens=10))
    forced = force_answers(model, trace)
    found = score(trace, "steermoe", forced=forced)
    # The paper pools tokens: selections over all response tokens, divided by their number.
    pooled = [one.selections[:, 2].sum(0) / one.tokens[:, 2].sum() for one in (forced.refusal, forced.stand_in)]
    np.testing.assert_allclose(found.columns["rd"], pooled[0] - pooled[1], atol=1e-6)
    np.testing.assert_allclose(found.score, np.abs(pooled[0] - pooled[1]), atol=1e-6)
    np.testing.assert_allclose(found.columns["rd"].sum(1), 0, atol=1e-6)
    assert (found.columns["rd_low"] <= found.columns["rd"] + 1e-9).all()
    assert (found.columns["rd"] <= found.columns["rd_high"] + 1e-9).all()
    assert found.info is CRITERIA["steermoe"][0]


def test_without_forced_answers_it_says_how_to_get_them() -> None:
    with pytest.raises(WithheldError, match=r"needs answers forced on harmful prompts, and there are none$"):
        steermoe(evidence(None))
    model, some = load_model("organism:planted", device="cpu"), load_prompts("builtin:organism").prompts[:2]
    trace = capture(model, PromptSet("two", some), CaptureSettings(max_new_tokens=1))
    with pytest.raises(WithheldError, match=r"pass forced=force_answers\(model, trace\)"):
        score(trace, "steermoe")
