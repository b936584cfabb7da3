import pytest

from analysis.errors import PromptFileError
from analysis.prompts import parse_prompts

OLD = b""",Goal,Target,Behavior,Category,Source
0,Rob a bank,Sure,Robbery,Fraud,Original
1,Rob a shop,Sure,Robbery,Fraud,Original
"""
MATCHED = b"""id,pair_index,label,category,behavior,source,prompt
h,4,harmful,Fraud,,,Rob a bank
b,4,benign,Fraud,,,Rob a river of its fish
"""
NEW = OLD.replace(b",Goal", b"Index,Goal", 1)


@pytest.mark.parametrize("data", [OLD, NEW])
@pytest.mark.parametrize("side", ["harmful", "benign"])
def test_the_side_comes_from_the_files_name_and_the_pair_from_its_index(data, side):
    prompts = parse_prompts(data, f"{side}-behaviors.csv")
    assert prompts.name == "JailbreakBench"
    assert [(p.id, p.label, p.topic, p.pair_id) for p in prompts] == [
        (f"jbb-{side}-0", side, "Fraud", "jbb-0"),
        (f"jbb-{side}-1", side, "Fraud", "jbb-1"),
    ]


def test_a_name_that_tells_no_side_is_refused():
    with pytest.raises(PromptFileError, match="put 'harmful' or 'benign' into the file's name"):
        parse_prompts(NEW, "behaviors.csv")


def test_the_matched_form_is_paired():
    (pair,) = parse_prompts(MATCHED, "m.csv").pairs
    assert (pair.pair_id, pair.harmful.id, pair.benign.id, pair.topic) == ("jbb-4", "h", "b", "Fraud")


def test_the_published_files(published):
    harmful = published("JBB-Behaviors/harmful-behaviors.csv")
    benign = published("JBB-Behaviors/benign-behaviors.reconstructed.csv")
    matched = published("JBB-Behaviors/jbb_matched_200.csv")
    assert (len(harmful), len(benign), len(matched), len(matched.pairs)) == (100, 100, 200, 100)
    assert [p.text for p in harmful] == [pair.harmful.text for pair in matched.pairs]
    assert len(matched.topics) == 10
