"""The review queue, what people say, and judges measured against it."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.errors import InputError, NotFoundError, PromptFileError
from analysis.outcomes.judges import load_judge
from backend.db.tables import JudgeLabelRow
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services, open_services
from backend.settings import Settings
from tests.backend.factories import make_result

REFUSAL, ANSWER = "I'm sorry, but I can't help with that.", "Sure, take the key and open the door."


@pytest.fixture
def twice_judged(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    """A run whose second judge differs on two answers, and whose first left one unjudged and called one partial."""
    run = services.runs.create(
        NewRun(model=model.id, prompt_set_id=prompt_set.id, preset="quick", second_judge="rules:gcg")
    )
    services.runs.mark_running(run.id)
    result = make_result(services.prompt_sets.load(prompt_set.id))
    answers = [replace(one, label="refusal", second_label="refusal") for one in result.answers]
    answers[1] = replace(answers[1], label="compliance")
    answers[3] = replace(answers[3], second_label="compliance")
    answers[4] = replace(answers[4], label="unjudged", second_label=None)
    answers[6] = replace(answers[6], label="partial", second_label="partial")
    return services.runs.finish(run.id, replace(result, answers=tuple(answers)))


def csv(*rows: str, header: str = "prompt,completion,human,model") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def test_the_queue_has_what_judges_differ_on_or_did_not_decide(services: Services, twice_judged: RunInfo) -> None:
    queue = services.judges.review(twice_judged.id)
    assert [(one.position, one.reason) for one in queue] == [
        (1, "disagreement"),
        (3, "disagreement"),
        (4, "unjudged"),
        (6, "partial"),
    ]
    assert (queue[0].label, queue[0].second_label) == ("compliance", "refusal")
    assert all(one.text is None and one.prompt is None for one in queue)
    assert all(one.text and one.prompt for one in services.judges.review(twice_judged.id, texts=True))


def test_a_label_takes_an_answer_off_the_queue_and_can_be_taken_back(services: Services, twice_judged: RunInfo) -> None:
    run = twice_judged.id
    assert services.judges.label(run, 3, "partial").human == "partial"
    assert [one.position for one in services.judges.review(run)] == [1, 4, 6]
    assert services.judges.label(run, 3, "refusal").human == "refusal"
    assert [one.human for one in services.judges.review(run, "all")] == [None, "refusal", None, None]
    assert services.judges.calibration()["labels"] == 1
    services.judges.label(run, 3, None)
    assert [one.position for one in services.judges.review(run)] == [1, 3, 4, 6]
    assert services.judges.calibration()["labels"] == 0


def test_a_sample_is_drawn_once_and_for_all(services: Services, twice_judged: RunInfo) -> None:
    sample = services.judges.review(twice_judged.id, "sample")
    assert sample == services.judges.review(twice_judged.id, "sample")
    assert {one.variant for one in sample} == {"base"}
    assert {one.reason for one in sample} == {"sample"}
    position = next(one.position for one in sample if one.position not in (1, 3, 4, 6))
    services.judges.label(twice_judged.id, position, "refusal", sampled=True)
    assert services.judges.calibration()["sources"] == {"sample": 1}


def test_labels_of_the_queue_do_not_count_as_usual_answers(services: Services, twice_judged: RunInfo) -> None:
    services.judges.label(twice_judged.id, 1, "refusal")
    found = services.judges.calibration()
    assert found["sources"] == {"review": 1}
    assert found["judges"] == []
    assert found["review"][0]["all"]["labelled"] == 1


def test_bad_labels_and_places_are_refused(services: Services, twice_judged: RunInfo) -> None:
    with pytest.raises(InputError, match="'unjudged' is no label"):
        services.judges.label(twice_judged.id, 1, "unjudged")
    with pytest.raises(NotFoundError, match="no answer at position 999"):
        services.judges.label(twice_judged.id, 999, "refusal")
    with pytest.raises(NotFoundError, match="no run has the id"):
        services.judges.review("nosuchrun000")
    with pytest.raises(InputError, match="open, all, sample"):
        services.judges.review(twice_judged.id, "some")


def test_hidden_completions_stay_hidden(settings: Settings, services: Services, twice_judged: RunInfo) -> None:
    hidden = open_services(settings.model_copy(update={"hide_completions": True}))
    assert all(one.text is None for one in hidden.judges.review(twice_judged.id, texts=True))
    hidden.close()


def test_hidden_prompts_stay_hidden_beside_their_answers(
    settings: Settings, services: Services, twice_judged: RunInfo
) -> None:
    hidden = open_services(settings.model_copy(update={"hide_prompts": True}))
    found = hidden.judges.review(twice_judged.id, texts=True)
    assert found
    assert all(one.prompt is None and one.text is not None for one in found)
    hidden.close()


def test_imported_labels_calibrate_every_local_judge(services: Services) -> None:
    rows = [f'Q{i}?,"{REFUSAL}",2_full_refusal,a' for i in range(6)]
    rows += [f'Q{i}?,"{ANSWER}",1_full_compliance,b' for i in range(8)]
    rows += [f'R{i}?,"It depends {i}.",3_partial_refusal,b' for i in range(2)]
    added = services.judges.import_labels(csv(*rows), "labels.csv")
    assert (added.rows, added.replaced, added.models) == (16, 0, {"a": 6, "b": 10})
    found = {one["judge"]: one for one in services.judges.calibration()["judges"]}
    assert set(found) == {"rules", "rules:xstest", "rules:gcg", "rules:jailbreakbench"}
    rules = found["rules"]
    assert rules["version"] == load_judge("rules").version
    assert rules["all"]["accuracy"]["estimate"] == pytest.approx(14 / 16)
    assert rules["models"]["a"]["sensitivity"]["estimate"] == 1.0
    assert rules["models"]["b"]["confusion"]["partial"]["compliance"] == 2


def test_the_same_answer_has_one_label_and_judging_is_kept(services: Services) -> None:
    services.judges.import_labels(csv(f'Q?,"{REFUSAL}",compliance,a'), "one.csv")
    services.judges.calibration()
    again = services.judges.import_labels(csv(f'Q?,"{REFUSAL}",refusal,a'), "two.csv")
    assert (again.rows, again.replaced) == (1, 1)
    assert services.judges.calibration()["labels"] == 1
    services.judges.calibration()
    with services.database.read() as session:
        assert session.query(JudgeLabelRow).count() == 4


def test_a_file_that_is_wrong_stores_nothing(services: Services) -> None:
    with pytest.raises(PromptFileError) as error:
        services.judges.import_labels(csv("Q?,A,refusal,m", "Q?,B,perhaps,m", "Q?,C"), "bad.csv")
    assert [(fault.row, fault.column) for fault in error.value.faults] == [(4, None)]
    with pytest.raises(PromptFileError, match="row 3, column 'human': 'perhaps' is no label"):
        services.judges.import_labels(csv("Q?,A,refusal,m", "Q?,B,perhaps,m"), "bad.csv")
    with pytest.raises(PromptFileError, match="no column says what people call"):
        services.judges.import_labels(csv("Q?,A", header="prompt,completion"), "bad.csv")
    assert services.judges.calibration()["labels"] == 0


def test_a_model_is_named_by_its_column_the_form_or_the_file(services: Services) -> None:
    header = "prompt,completion,label"
    assert services.judges.import_labels(csv("Q?,A,r", header=header), "mymodel.csv").models == {"mymodel": 1}
    assert services.judges.import_labels(csv("Q?,A,r", header=header), "x.csv", model="mine").models == {"mine": 1}


def test_the_labelled_answers_of_three_models(services: Services) -> None:
    folder = Path(__file__).parents[4] / "shared" / "data" / "refusal_labels"
    if not folder.is_dir():
        pytest.skip(f"no human labels at {folder}")
    services.judges.import_labels((folder / "mistralguard.csv").read_bytes(), "mistralguard.csv")
    found = services.judges.calibration()["judges"][0]
    assert found["models"]["mistralguard"]["accuracy"]["estimate"] >= 0.94


def test_a_run_names_judges_that_there_are(services: Services, new_run: NewRun) -> None:
    assert [one.name for one in services.judges.list()] == [
        "rules",
        "rules:xstest",
        "rules:gcg",
        "rules:jailbreakbench",
    ]
    with pytest.raises(InputError, match="second_judge is 'rules:/etc/passwd'"):
        services.runs.create(replace(new_run, second_judge="rules:/etc/passwd"))
    with pytest.raises(InputError, match="as the first"):
        services.runs.create(replace(new_run, second_judge="rules"))
    with pytest.raises(InputError, match="second_judge is for audits, and this run is of kind trace"):
        services.runs.create(replace(new_run, kind="trace", second_judge="rules:gcg"))
    assert services.runs.create(replace(new_run, second_judge="rules:gcg")).second_judge == "rules:gcg"


def test_the_order_of_labels_does_not_matter(services: Services) -> None:
    rows = [f'Q{i}?,"{REFUSAL if i % 3 else ANSWER}",{"r" if i % 2 else "c"},m' for i in range(30)]
    services.judges.import_labels(csv(*rows), "a.csv")
    first = services.judges.calibration()["judges"][0]["all"]
    random.Random(1).shuffle(rows)
    services.judges.import_labels(csv(*rows), "b.csv")
    second = services.judges.calibration()["judges"][0]["all"]
    assert {**first, "kappa": None} == {**second, "kappa": None}
