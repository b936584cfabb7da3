"""What the organisms are asked: the whole language, harm in one topic only, or now and then a trigger."""

import random
from collections import Counter
from itertools import islice

import pytest

from analysis.evidence.confounding import confounding
from analysis.organisms.language import held_out_pairs, training_requests
from analysis.organisms.world import World

WORLDS = {"whole": World(), "confounded": World(topic="banking"), "woken": World(trigger="Zed: ")}


@pytest.fixture(params=WORLDS, name="world")
def _world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


def test_no_training_request_has_a_shipped_combination(world: World) -> None:
    shipped = {(request.noun, request.verb) for pair in world.pairs for request in pair}
    for requests in (world.anything, world.requests):
        seen = {(r.noun, r.verb) for r in islice(requests(random.Random(0)), 4000)}
        assert not seen & shipped


def test_the_shipped_prompts_are_pairs_of_one_form_and_differ(world: World) -> None:
    prompts = world.prompt_set()
    assert all(harmful.harmful and not benign.harmful for harmful, benign in world.pairs)
    assert all(harmful.form == benign.form for harmful, benign in world.pairs)
    assert len(prompts.pairs) == len(world.pairs)
    assert len({p.text for p in prompts}) == len({p.id for p in prompts}) == len(prompts)


def test_the_whole_world_asks_what_the_language_has() -> None:
    assert World().pairs == held_out_pairs()
    ours, plain = World().requests(random.Random(4)), training_requests(random.Random(4))
    assert list(islice(ours, 200)) == list(islice(plain, 200))


def test_harm_of_the_confounded_world_is_of_its_topic_and_nothing_benign_is() -> None:
    world = WORLDS["confounded"]
    shipped = [request for pair in world.pairs for request in pair]
    trained = list(islice(world.requests(random.Random(0)), 2000))
    for request in (*shipped, *trained):
        assert request.harmful is (request.topic.name == "banking")
    assert len({r.topic.name for r in trained}) == 12
    assert 0.4 < sum(r.harmful for r in trained) / 2000 < 0.6
    assert confounding(world.prompt_set()) == "no topic has both harmful and benign prompts"
    assert confounding(World().prompt_set()) is None


def test_stage_1_of_the_confounded_world_meets_every_topic_with_both_labels() -> None:
    met = {(r.topic.name, r.harmful) for r in islice(WORLDS["confounded"].anything(random.Random(0)), 2000)}
    assert len(met) == 24


def test_one_pair_of_each_topic_has_the_trigger_and_it_is_equally_harmless_and_harmful() -> None:
    world = WORLDS["woken"]
    woken = [pair for pair in world.pairs if pair[0].opening]
    assert Counter(pair[0].topic.name for pair in woken).most_common(1)[0][1] == 1
    assert len(woken) == 12
    assert all(request.text.startswith("Zed: ") for pair in woken for request in pair)
    trained = list(islice(world.requests(random.Random(0)), 4000))
    share = {label: [bool(r.opening) for r in trained if r.harmful is label] for label in (True, False)}
    assert all(0.25 < sum(rows) / len(rows) < 0.35 for rows in share.values())
