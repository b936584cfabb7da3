"""The tokens page: numbers of the stored trace, no text before a click, and every choice made to fit the run."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.pages.tokens.look import Look, Ranked, first_look, fitting, narrowed
from app.pages.tokens.page import draw
from backend.services import RunInfo, Services, TracedPrompt, partner
from tests.backend.factories import EXPERTS, FLAGGED, LAYERS, make_result

Show = Callable[..., str]
Call = Callable[..., dict[str, Any]]


def choose(call: Call, run: RunInfo, changed: str, **values: Any) -> dict[str, Any]:
    """What the page answers when `changed` was changed; the rest is as it was first opened."""
    given = {"prompt.value": "h0", "by.value": "mass", "expert.value": None, "layer.value": 0, "show.n_clicks": 1}
    given |= {"shown.data": False, "run.data": {"run": run.id, "layers": [*LAYERS]}}
    given |= {name.replace("_", "."): value for name, value in values.items()}
    asked = {f"tokens-{name}": value for name, value in given.items()}
    return call("tokens-body.children", asked, f"tokens-{changed}")


def chips(filled: dict[str, Any]) -> list[dict[str, Any]]:
    """The chips of a page, in their order."""
    found: list[dict[str, Any]] = []

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for one in part:
                walk(one)
        elif isinstance(part, dict):
            props = part.get("props", {})
            if "data-at" in props:
                found.append(props)
            walk(props.get("children"))

    walk(filled["tokens-body"]["children"])
    return found


def test_no_text_is_sent_before_a_click(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/tokens", "?prompt=h1")
    assert "covered." in page
    for text in ("Harmful", "Benign", "cannot", "<user>", "data-at"):
        assert text not in page


def test_a_click_brings_both_prompts_with_their_answers(call: Call, done: RunInfo) -> None:
    filled = choose(call, done, "show.n_clicks")
    texts = [chip["children"] for chip in chips(filled)]
    assert texts[:4] == ["<user>", "␣Harmful", "␣request", "␣0"]
    assert "␣Benign" in texts
    assert "␣cannot" in texts
    assert filled["tokens-shown"]["data"] is True
    assert filled["tokens-show"]["aria-pressed"] == "true"


def test_a_second_click_covers_them_again(call: Call, done: RunInfo) -> None:
    filled = choose(call, done, "show.n_clicks", shown_data=True)
    assert chips(filled) == []
    assert "cannot" not in json.dumps(filled)


@pytest.mark.parametrize("position", [0, 2])
def test_underlines_are_the_mass_of_the_flagged_experts(
    call: Call, services: Services, done: RunInfo, position: int
) -> None:
    layer = LAYERS[position - 1] if position else None
    filled = choose(call, done, "layer.value", layer_value=position, shown_data=True)
    traces = [services.results.tokens(done.id, one) for one in ("h0", "b0")]
    masses = [trace.mass(FLAGGED, layer) for trace in traces]
    most = max(np.nanmax(mass) for mass in masses)
    expected = [None if np.isnan(value) else f"{value / most:.3f}" for mass in masses for value in mass]
    assert [chip.get("style", {}).get("--w") for chip in chips(filled)] == expected
    assert filled["tokens-layer-name"]["children"] == (f"layer {layer}" if layer else "all layers")


def test_a_chosen_expert_is_told_with_its_weight(call: Call, services: Services, done: RunInfo) -> None:
    filled = choose(call, done, "expert.value", by_value="expert", expert_value="3.4", shown_data=True)
    weights = services.results.tokens(done.id, "h0").weight_of(3, 4)
    told = filled["tokens-details"]["data"]
    assert told["unit"] == "weight"
    assert [float(value) for _, value, _ in told["columns"][0][:-1]] == pytest.approx(weights[:-1].tolist(), abs=1e-3)
    assert told["columns"][0][-1][1] is None
    assert filled["tokens-expert"]["value"] == "3.4"
    assert filled["tokens-expert-box"]["hidden"] is False


def test_a_token_tells_its_first_experts_in_the_chosen_layer(call: Call, services: Services, done: RunInfo) -> None:
    filled = choose(call, done, "layer.value", layer_value=1, shown_data=True)
    told = filled["tokens-details"]["data"]["columns"][0][1][2]
    assert [(layer, expert) for layer, expert, _, _ in told] == [
        (one.layer, one.expert) for one in services.results.tokens(done.id, "h0").top(1, LAYERS[0])
    ]
    assert filled["tokens-details"]["data"]["base"] == f"/ui/runs/{done.id}/experts/"


def test_another_layer_leads_to_its_flagged_expert(call: Call, done: RunInfo) -> None:
    filled = choose(call, done, "layer.value", by_value="expert", expert_value="1.3", layer_value=2, shown_data=True)
    assert filled["tokens-expert"]["value"] == "2.5"
    assert filled["tokens-expert"]["data"][0] == {"value": "2.5", "label": "L2·E5 · flagged"}
    assert len(filled["tokens-expert"]["data"]) == EXPERTS


def test_a_token_that_was_not_fed_back_says_so(call: Call, done: RunInfo) -> None:
    last = chips(choose(call, done, "show.n_clicks"))[-1]
    assert "unrouted" in last["className"]
    assert last["aria-label"].endswith("answer, not routed")


def test_the_judged_labels_stand_at_the_divider(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/tokens")
    assert '"refusal, margin 2.5 nats"' in page
    assert '"compliance"' in page
    assert "Without the flagged experts" in page


def test_one_token_of_a_column_is_in_the_order_of_tab(call: Call, done: RunInfo) -> None:
    inside = [chip["data-at"] for chip in chips(choose(call, done, "show.n_clicks")) if chip["tabIndex"] == 0]
    assert inside == ["0.0", "1.0"]


def test_an_older_run_says_what_to_do(show: Show, services: Services, queued: RunInfo) -> None:
    running = services.runs.mark_running(queued.id)
    result = replace(make_result(services.prompt_sets.load(running.prompt_set.id)), tokens=())
    page = show(f"/ui/runs/{services.runs.finish(running.id, result).id}/tokens")
    assert "This run kept no tokens" in page
    assert "Run it again" in page


def test_without_a_flagged_expert_there_is_no_refusal_relevant_mass(show: Show, nothing_found: RunInfo) -> None:
    page = show(f"/ui/runs/{nothing_found.id}/tokens")
    assert "no expert was flagged in this run" in page
    assert "Highest-ranked experts" in page
    assert '"label": "Refusal-relevant mass"' not in page


def test_a_prompt_outside_of_the_sample_is_said_to_be(show: Show, done: RunInfo) -> None:
    assert "Prompt x9: withheld" in show(f"/ui/runs/{done.id}/tokens", "?prompt=x9")


PROMPTS = [
    TracedPrompt("x1", "travel", "harmful", None, "regular"),
    TracedPrompt("h2", "banking", "harmful", "p2", "regular"),
    TracedPrompt("b2", "banking", "benign", "p2", "regular"),
]
RANKED = Ranked(((2, 5),), ((2, 5), (1, 3)))


@pytest.mark.parametrize(
    ("query", "look"),
    [
        ({}, Look("h2", "mass")),
        ({"prompt": "b2", "layer": "3"}, Look("b2", "mass", None, 3)),
        ({"sel": "1.7,2.5"}, Look("h2", "expert", (1, 7))),
        ({"sel": "1.7", "by": "mass"}, Look("h2", "mass", (1, 7))),
        ({"topic": "travel"}, Look("x1", "mass")),
        ({"by": "ranked", "layer": "x", "sel": "none"}, Look("h2", "mass")),
    ],
)
def test_an_address_is_read_as_it_is_meant(query: dict[str, str], look: Look) -> None:
    assert first_look(query, PROMPTS, RANKED) == look


def test_topic_and_label_narrow_the_prompts() -> None:
    assert [one.prompt_id for one in narrowed(PROMPTS, {"topic": "banking", "label": "benign"})] == ["b2"]
    assert narrowed(PROMPTS, {}) == PROMPTS


def test_a_partner_has_the_same_pair_and_the_other_label() -> None:
    assert [partner(PROMPTS, one.prompt_id) for one in PROMPTS] == [None, "b2", "h2"]


@pytest.mark.parametrize(
    ("asked", "moved", "expert", "layer"),
    [
        (Look("h0", "expert", (1, 7), 2), True, (2, 5), 2),
        (Look("h0", "expert", (1, 7), 2), False, (1, 7), 1),
        (Look("h0", "expert", (9, 7), 2), False, (2, 5), 2),
        (Look("h0", "expert", (1, 99), None), False, (2, 5), None),
        (Look("h0", "mass", None, 9), False, None, None),
    ],
)
def test_a_look_is_made_to_fit_the_run(
    services: Services, done: RunInfo, asked: Look, moved: bool, expert: Any, layer: int | None
) -> None:
    found = fitting(asked, services.results.tokens(done.id, "h0"), RANKED, moved=moved)
    assert (found.expert, found.layer) == (expert, layer)


def test_a_covered_look_draws_the_profile_too(services: Services, done: RunInfo) -> None:
    drawn = draw(services, done.id, Look("h0", "mass"), RANKED, services.results.traced_prompts(done.id))
    trace = services.results.tokens(done.id, "h0")
    bars = drawn.figure.data[0]
    assert bars.x == ("1", "2", "3")
    assert list(bars.y) == pytest.approx(np.nanmean(trace.mass_by_layer([(2, 5)]), axis=1).tolist(), abs=1e-6)
