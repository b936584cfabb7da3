from analysis.prompts import Prompt, balance_of


def prompt(
    number: int, label: str | None, topic: str | None, pair: str | None = None, group: str = "regular"
) -> Prompt:
    return Prompt(f"p{number}", f"text {number}", label, topic, pair, group)


def codes(*prompts: Prompt) -> set[str]:
    return {advice.code for advice in balance_of(prompts).advice()}


def spread(topics: int, pairs: bool = True) -> list[Prompt]:
    """One harmful and one benign prompt in each topic."""
    return [
        prompt(2 * topic + side, label, f"t{topic}", f"pair{topic}" if pairs else None)
        for topic in range(topics)
        for side, label in enumerate(("harmful", "benign"))
    ]


def test_prompts_are_counted_by_topic_and_label():
    balance = balance_of(
        [
            prompt(1, "harmful", "b", "x"),
            prompt(2, "benign", "b", "x"),
            prompt(3, "harmful", "a"),
            prompt(4, "harmful", "a", group="jailbreak"),
            prompt(5, None, None),
        ]
    )
    rows = [(t.topic, t.harmful, t.benign, t.jailbreak, t.unlabelled, t.pairs) for t in balance.topics]
    assert rows == [("a", 1, 0, 1, 0, 0), ("b", 1, 1, 0, 0, 1), (None, 0, 0, 0, 1, 0)]
    assert (balance.prompts, balance.harmful, balance.benign, balance.pairs) == (5, 2, 1, 1)


def test_nothing_is_advised_where_nothing_is_missing():
    assert codes(*spread(5)) == set()


def test_topic_and_harm_are_confounded_where_they_do_not_meet():
    harmful = [prompt(i, "harmful", "weather") for i in range(4)]
    benign = [prompt(10 + i, "benign", "cooking") for i in range(4)]
    assert "confounded" in codes(*harmful, *benign)
    # 2 of 4 harmful prompts share a topic with a benign one: exactly the share that is enough
    half = [*harmful[:2], prompt(3, "harmful", "cooking"), prompt(4, "harmful", "cooking"), *benign]
    assert balance_of(half).shared == 0.5
    assert "confounded" not in codes(*half)


def test_one_topic_can_not_be_confounded_with_harm():
    found = codes(prompt(1, "harmful", "a", "x"), prompt(2, "benign", "a", "x"))
    assert found == {"one_topic"}


def test_missing_labels_pairs_and_topics_are_named():
    assert codes(prompt(1, None, None)) == {"no_labels", "one_topic"}
    assert codes(prompt(1, "benign", "a"), prompt(2, None, "b")) == {"no_harmful", "unlabelled", "few_topics"}
    assert codes(prompt(1, "harmful", "a")) == {"no_benign", "one_topic"}
    assert codes(*spread(6, pairs=False)) == {"no_pairs"}
    assert codes(*spread(2), *(prompt(100 + i, side, "t0") for i in range(3) for side in ("harmful", "benign"))) >= {
        "some_pairs",
        "few_topics",
    }
