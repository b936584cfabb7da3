from analysis.prompts import parse_prompts


def test_every_line_is_an_unlabelled_prompt_and_blank_lines_are_skipped():
    prompts = parse_prompts(b'Hi, "you"\n\n  Ho;\tthere \n', "a.txt").prompts
    assert [(p.text, p.label, p.topic, p.pair_id) for p in prompts] == [
        ('Hi, "you"', None, None, None),
        ("Ho;\tthere", None, None, None),
    ]
