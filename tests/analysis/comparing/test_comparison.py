"""The document as a whole: what differs comes out by name, sentences say only what intervals carry."""

import copy
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from analysis.comparing import Comparison, compare_audits
from analysis.errors import InputError
from tests.analysis.comparing.test_outcomes import answers, report
from tests.backend.factories import make_result


def test_what_differs_is_named_in_the_order_in_which_it_matters() -> None:
    a, b = make_result().report, copy.deepcopy(make_result().report)
    b["model"] |= {"weights_sha256": "b" * 64, "dtype": "float32"}
    a["settings"] |= {"max_new_tokens": 32}
    b["settings"] |= {"seed": 1, "max_new_tokens": 64}
    b["software"] |= {"torch": "2.0"}
    found = compare_audits(a, b)
    assert [(one.part, one.what, one.a, one.b) for one in found.differs] == [
        ("model", "weights_sha256", "a" * 12, "b" * 12),
        ("model", "dtype", "bfloat16", "float32"),
        ("settings", "seed", "0", "1"),
        ("settings", "max_new_tokens", "32", "64"),
        ("software", "torch", "1.0", "2.0"),
    ]
    assert "Both models are called organism:planted, and their weights differ." in found.caveats
    assert "Answers end after 32 tokens in A and 64 in B: what comes later was judged in one alone." in found.caveats


def test_two_judges_are_a_caveat() -> None:
    other = copy.deepcopy(make_result().report)
    other["outcomes"]["judge"] = "endpoint:mine"
    (said,) = compare_audits(make_result().report, other).caveats
    assert said == "The answers were labelled by rules in A and by endpoint:mine in B: a difference may be the judges'."


def test_a_fall_of_refusal_is_said_with_its_interval_and_attack_success_is_not_said_again() -> None:
    a, b = answers("r" * 60), answers("r" * 30 + "c" * 30)
    said = compare_audits(report(a), report(b)).changed
    assert said[0].startswith("B refuses 50 points [")
    assert said[0].endswith("] fewer of the harmful prompts than A: 50 % against 100 %.")
    assert not any("complies" in text for text in said)
    assert len(said) <= 6


def test_no_difference_says_how_large_one_could_be() -> None:
    said = compare_audits(report(answers("r" * 30)), report(answers("r" * 30))).changed
    assert said[0].startswith(
        "No difference that these prompts can show in refusal of harmful prompts (at most ± 11 points)"
    )


def test_two_prompts_are_too_few_to_say_anything() -> None:
    said = compare_audits(report(answers("rr")), report(answers("rc"))).changed
    assert "Too few prompts to say how refusal of harmful prompts" in " ".join(said)


def test_the_document_is_json_and_of_the_published_schema(repository: Any) -> None:
    import jsonschema

    document = json.loads(json.dumps(compare_audits(make_result().report, make_result(seed=1).report).as_dict()))
    schema = json.loads((repository / "docs" / "comparison.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert document["schema"] == "expertscope.comparison/1"


def test_the_published_schema_is_that_of_the_record(repository: Any) -> None:
    """Written by `TypeAdapter(Comparison).json_schema(mode="serialization")`."""
    published = json.loads((repository / "docs" / "comparison.schema.json").read_text(encoding="utf-8"))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    assert published == {**head, **TypeAdapter(Comparison).json_schema(mode="serialization")}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"schema": "expertscope.tune/1"}, "a tuning, whose document holds before and after itself"),
        ({"schema": "something/1"}, "its schema is 'something/1', expected 'expertscope.report/1'"),
        ([], "its schema is None"),
    ],
)
def test_what_is_no_report_is_named(document: Any, complaint: str) -> None:
    with pytest.raises(InputError, match="B cannot be compared") as caught:
        compare_audits(make_result().report, document)
    assert complaint in caught.value.message
    assert caught.value.field == "b"
