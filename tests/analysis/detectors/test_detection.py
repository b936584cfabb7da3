"""detector.json: its schema, its one sentence, and what it says of an organism whose words are known."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from analysis import load_model, load_prompts
from analysis.detectors import DETECTORS
from analysis.detectors.detection import Detection, detect, sentence
from analysis.detectors.evaluation import Table, evaluate
from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from tests.analysis.detectors.synthetic import one_direction, pairs, signals


@pytest.fixture(scope="module")
def planted() -> LoadedModel:
    return load_model("organism:planted", device="cpu")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    """Five pairs of each of six topics, one prompt without a label, and a jailbreak."""
    everything = load_prompts("builtin:organism")
    taken = [pair for topic in everything.topics[:6] for pair in [p for p in everything.pairs if p.topic == topic][:5]]
    both = [prompt for pair in taken for prompt in (pair.harmful, pair.benign)]
    wrapped = replace(both[0], id="wrapped", group="jailbreak")
    return PromptSet("some", (*both, Prompt("loose", "no label"), wrapped))


@pytest.fixture(scope="module", params=DETECTORS)
def found(request: pytest.FixtureRequest, planted: LoadedModel, prompts: PromptSet) -> Detection:
    return detect(planted, prompts, request.param, draws=2)


def test_the_document_keeps_to_its_schema(found: Detection, repository: Path) -> None:
    schema = json.loads((repository / "docs" / "detector.schema.json").read_text(encoding="utf-8"))
    document = json.loads(json.dumps(found.document, allow_nan=False))
    jsonschema.validate(document, schema)
    assert set(document) == set(schema["properties"])
    row = schema["properties"]["evaluation"]["properties"]["kfold"]["properties"]["rows"]["items"]
    assert set(document["evaluation"]["kfold"]["rows"][0]) == set(row["properties"])


def test_the_document_says_what_was_measured(found: Detection, prompts: PromptSet) -> None:
    document = found.document
    assert document["prompts"]["offered"] == 62
    assert [one["prompt_id"] for one in document["scores"]] == [p.id for p in prompts.prompts[:-2]]
    assert document["certificate"]["passed"] is True
    assert document["withheld"]["jailbreaks"].startswith("1 jailbreaks are neither trained on nor tested")
    assert document["withheld"]["kfold.tpr_at_1_fpr"] == "needs at least 100 benign prompts, found 30"
    assert document["evaluation"]["leave_category_out"]["folds"] == 6
    hard = {table.scheme: table for table in found.tables}["leave_category_out"]
    assert document["scores"][7]["leave_category_out"] == hard.probability[7]


def test_weights_name_layers_and_experts(found: Detection) -> None:
    weights = found.document["weights"]
    if found.trained.name == "nearest":
        assert weights == []
        assert "prompts vote" in found.document["withheld"]["weights"]
        return
    kinds = {"routescan": {"load", "coverage", "entropy", "gap", "concentration"}, "router_logits": {"logit"}}
    assert {one["kind"] for one in weights} == kinds[found.trained.name]
    sizes = [abs(one["weight"]) for one in weights]
    assert sizes == sorted(sizes, reverse=True)
    loads = [(one["layer"], one["expert"]) for one in weights if one["expert"] is not None]
    assert sorted(loads) == [(layer, expert) for layer in range(4) for expert in range(16)]
    assert sum(found.document["detector"]["features"].values()) == len(weights)


def test_harm_can_be_read_in_new_topics_of_the_organism_but_better_in_the_words(found: Detection) -> None:
    """Its harmful requests are known words, so a readout of words is right every time, and routing is not needed."""
    rows = {row["name"]: row["auroc"] for row in found.document["evaluation"]["leave_category_out"]["rows"]}
    assert rows[found.trained.name]["estimate"] > 0.55
    if found.trained.name == "router_logits":
        assert rows["router_logits"]["low"] > 0.95
    assert rows["words"]["estimate"] > 0.99
    assert rows["layer_inputs"]["estimate"] > 0.99
    assert rows["prompt_length"]["estimate"] < 0.6
    sentence = found.document["verdict"]["sentence"]
    assert "words" in sentence or "better than chance" in sentence


def table(scheme: str = "leave_category_out") -> Table:
    what = signals(pairs(6, 6), one_direction(6), topics=0.5)
    found, _ = evaluate(DETECTORS["router_logits"], what, draws=2)
    return {one.scheme: one for one in found}[scheme]


def test_the_sentence_claims_no_more_than_the_table() -> None:
    plain, hard = table("kfold"), table()
    said = sentence([plain, hard])
    assert said.startswith("On prompts whose topic it was not trained on, router_logits tells harmful from benign")
    unbeaten = {row.name for row in hard.rows[1:] if not row.behind_detector.low > 0}
    assert all((name in said) == (name in unbeaten) for name in ("layer_inputs", "words", "prompt_length"))
    weak = replace(hard.rows[0], auroc=replace(hard.rows[0].auroc, estimate=0.55, low=0.48, high=0.62))
    assert sentence([replace(hard, rows=(weak, *hard.rows[1:]))]).endswith("not shown to be better than chance.")
    strong = tuple(replace(row, behind_detector=replace(hard.rows[0].auroc, low=0.1)) for row in hard.rows[1:])
    assert sentence([replace(hard, rows=(hard.rows[0], *strong))]).endswith("more than any baseline.")
    assert "of topics it was trained on" in sentence([plain])
    assert sentence([]).startswith("Too few prompts")


def test_an_unknown_detector_and_too_few_prompts_are_refused(planted: LoadedModel, prompts: PromptSet) -> None:
    with pytest.raises(
        InputError, match="unknown detector 'oracle': expected one of routescan, router_logits, nearest"
    ):
        detect(planted, prompts, "oracle")
    with pytest.raises(InputError, match="at least 10 harmful and 10 benign prompts, found 9 and 9"):
        detect(planted, PromptSet("few", prompts.prompts[:18]))


def test_the_same_seed_gives_the_same_document(planted: LoadedModel, prompts: PromptSet) -> None:
    first, second = (detect(planted, prompts, "nearest", seed=3, draws=2) for _ in range(2))
    for name in set(first.document) - {"created", "timings"}:
        assert first.document[name] == second.document[name]
    np.testing.assert_array_equal(first.trained.to_bytes(), second.trained.to_bytes())
