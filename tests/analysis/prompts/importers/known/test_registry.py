from analysis.prompts.importers.known import KNOWN_SETS, recognise


def test_every_set_is_recognised_by_its_own_header():
    for known in KNOWN_SETS:
        assert recognise(sorted(known.columns)) is known


def test_a_plain_header_is_no_known_set():
    assert recognise(["id", "prompt", "label", "topic", "pair_id"]) is None
