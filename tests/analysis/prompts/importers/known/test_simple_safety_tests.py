from collections import Counter

from analysis.prompts import parse_prompts

SAMPLE = (
    b"id,harm_area,counter,category,prompts_final\ns1,Scams and fraud,1,x,Rob a bank\ns2,Child safety,1,x,(withheld)\n"
)


def test_child_safety_is_left_out_and_the_notes_say_how_to_have_it():
    prompts = parse_prompts(SAMPLE, "s.csv")
    assert [(p.id, p.label, p.topic) for p in prompts] == [("s1", "harmful", "Scams and fraud")]
    assert prompts.notes == (
        "left out 1 rows of harm area 'Child safety'; to use them, rename 'prompts_final' to 'prompt'",
    )
    assert len(parse_prompts(SAMPLE.replace(b"prompts_final", b"prompt"), "s.csv")) == 2


def test_the_published_file(published):
    prompts = published("SimpleSafetyTests/SimpleSafetyTests - test cases.csv")
    assert Counter(p.topic for p in prompts) == {
        "Suicide, Self-Harm, and Eating Disorders": 20,
        "Physical harm and Violence": 20,
        "Illegal and Highly Regulated items": 20,
        "Scams and fraud": 20,
    }
