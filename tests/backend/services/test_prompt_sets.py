"""Prompt sets: stored whole or not at all, and given back as they came."""

import pytest

from analysis.errors import InputError, NotFoundError, PromptFileError, TooLargeError
from backend.services import Prompt, PromptFilter, PromptSetInfo, Services, import_options
from backend.settings import Settings
from tests.backend.factories import make_csv, make_prompts


def test_a_stored_set_describes_itself(prompt_set: PromptSetInfo) -> None:
    assert (prompt_set.name, prompt_set.source) == ("requests", "upload")
    assert (prompt_set.prompts, prompt_set.harmful, prompt_set.benign, prompt_set.unlabelled) == (12, 6, 6, 0)
    assert (prompt_set.topics, prompt_set.pairs) == (["banking", "travel"], 6)


def test_a_set_comes_back_as_it_was_uploaded(services: Services, prompt_set: PromptSetInfo) -> None:
    loaded = services.prompt_sets.load(prompt_set.id)
    assert loaded.prompts == make_prompts().prompts
    assert loaded.sha256 == prompt_set.sha256


def test_jailbreaks_are_counted_by_themselves_and_come_back_as_such(services: Services) -> None:
    file = b"prompt,label,pair_id,group\nHi,harmful,1,\nHo,benign,1,\nWrapped hi,harmful,1,jailbreak\nHm,,,\n"
    stored = services.prompt_sets.create(file, "wrapped.csv")
    counts = (stored.prompts, stored.harmful, stored.benign, stored.jailbreak, stored.unlabelled, stored.pairs)
    assert counts == (4, 1, 1, 1, 1, 1)
    loaded = services.prompt_sets.load(stored.id)
    assert [prompt.group for prompt in loaded] == ["regular", "regular", "jailbreak", "regular"]
    assert loaded.sha256 == stored.sha256


def test_prompts_are_read_in_the_order_of_the_file(services: Services, prompt_set: PromptSetInfo) -> None:
    found = services.prompt_sets.prompts(prompt_set.id, limit=3, offset=2)
    assert [prompt.id for prompt in found] == ["h1", "b1", "h2"]
    assert found[0] == Prompt("h1", "Harmful request 1 about travel", "harmful", "travel", "p1")


def test_the_same_file_is_stored_once(services: Services, prompt_set: PromptSetInfo) -> None:
    assert services.prompt_sets.create(make_csv(), "requests.csv") == prompt_set
    assert services.prompt_sets.create(make_csv(), "requests.csv", "another name").id != prompt_set.id
    assert services.prompt_sets.list().count == 2


def test_a_name_given_by_a_person_is_put_on_one_line(services: Services) -> None:
    assert services.prompt_sets.create(make_csv(), "x.csv", "  my \n prompts ").name == "my prompts"
    assert services.prompt_sets.create(make_csv(), "x.csv", "   ").name == "x"
    with pytest.raises(InputError, match="201 characters"):
        services.prompt_sets.create(make_csv(), "x.csv", "n" * 201)


def test_a_broken_row_is_named_and_nothing_is_stored(services: Services) -> None:
    broken = b"prompt,label\nfirst,harmful\nsecond,dangerous\n"
    with pytest.raises(PromptFileError) as caught:
        services.prompt_sets.create(broken, "broken.csv")
    assert (caught.value.faults[0].row, caught.value.faults[0].column) == (3, "label")
    assert services.prompt_sets.list().count == 0


@pytest.mark.parametrize(
    ("data", "filename"),
    [(b"", "empty.csv"), (bytes(range(256)) * 8, "noise.csv"), (b"prompt,label\n", "header-only.csv")],
)
def test_files_without_prompts_are_refused(services: Services, data: bytes, filename: str) -> None:
    with pytest.raises(InputError):
        services.prompt_sets.create(data, filename)
    assert services.prompt_sets.list().count == 0


def test_a_file_above_the_limit_is_refused_before_it_is_read(services: Services) -> None:
    too_long = b"x" * (services.settings.upload_limit_bytes + 1)
    with pytest.raises(TooLargeError, match="20,000,001 bytes"):
        services.prompt_sets.create(too_long, "long.txt")


def test_five_megabytes_in_one_cell_are_refused_with_the_row(services: Services) -> None:
    with pytest.raises(InputError) as caught:
        services.prompt_sets.create(b"prompt\nfine\n" + b"x" * 5_000_000 + b"\n", "cell.csv")
    assert caught.value.faults[0].row == 3


def test_builtin_sets_are_registered_once(services: Services) -> None:
    first = services.prompt_sets.register("builtin:topic-pairs")
    assert first.source == "builtin"
    assert first.pairs >= 240
    assert services.prompt_sets.register("builtin:topic-pairs") == first


def test_unknown_sets_are_not_found(services: Services) -> None:
    for call in (services.prompt_sets.get, services.prompt_sets.load, services.prompt_sets.prompts):
        with pytest.raises(NotFoundError, match="nothere12345"):
            call("nothere12345")
    with pytest.raises(NotFoundError):
        services.prompt_sets.register("builtin:no-such-set")


def test_a_file_name_is_no_way_to_read_the_servers_files(services: Services, settings: Settings) -> None:
    with pytest.raises(InputError, match="builtin:NAME"):
        services.prompt_sets.register(str(settings.data_dir / "expertscope.db"))


def test_a_preview_stores_nothing_and_tells_what_would_be_stored(services: Services) -> None:
    data = b"question,verdict\nHello,unsafe\nhello,unsafe\nOther,fine\n"
    options = import_options(
        {"prompt": "question", "label": "verdict"}, {"unsafe": "harmful", "fine": "benign"}, "normalised", None
    )
    found = services.prompt_sets.preview(data, "foreign.csv", options)
    assert (found.rows, found.prompts, found.undecided, found.faults) == (3, 2, 0, [])
    assert [(row.row, row.text, row.label) for row in found.first] == [(2, "Hello", "harmful"), (4, "Other", "benign")]
    assert (found.duplicates.exact, found.duplicates.normalised, found.duplicates.conflicts) == (0, 1, 0)
    assert services.prompt_sets.list().count == 0
    stored = services.prompt_sets.create(data, "foreign.csv", None, options)
    assert (stored.prompts, stored.harmful, stored.benign) == (2, 1, 1)


def test_a_preview_tells_the_rows_at_fault_instead_of_raising(services: Services) -> None:
    found = services.prompt_sets.preview(b"question,verdict\nHello,odd\n", "foreign.csv")
    assert found.mapping == {"columns": {"prompt": "question", "label": "verdict"}, "labels": {}}
    assert [(fault.row, fault.column) for fault in found.faults] == [(2, "verdict")]
    assert found.prompts == 0


def test_conflicts_are_counted_until_they_are_decided(services: Services) -> None:
    data = b"prompt,label\nHello,harmful\nhello,benign\n"
    open_, decided = (
        services.prompt_sets.preview(data, "a.csv", import_options(None, None, "keep", how)) for how in (None, "first")
    )
    assert (open_.undecided, open_.prompts) == (1, 2)
    assert (decided.undecided, decided.prompts) == (0, 1)


def test_labels_without_columns_are_refused() -> None:
    with pytest.raises(InputError, match="labels are given without columns"):
        import_options(None, {"x": "harmful"}, None, None)


def test_prompts_are_found_by_label_topic_and_text(services: Services) -> None:
    stored = services.prompt_sets.create(make_csv(), "requests.csv")

    def ids(**which: str) -> list[str]:
        return [prompt.id for prompt in services.prompt_sets.prompts(stored.id, which=PromptFilter(**which))]

    assert ids(label="harmful", topic="banking") == ["h0", "h2", "h4"]
    assert ids(search="request 5") == ["h5", "b5"]
    assert ids(search="100%") == []
    with pytest.raises(InputError, match="expected one of harmful, benign, jailbreak, unlabelled"):
        ids(label="bad")


def test_the_balance_of_a_stored_set_needs_no_text(services: Services) -> None:
    stored = services.prompt_sets.create(make_csv(), "requests.csv")
    rows = [(t.topic, t.harmful, t.benign, t.pairs) for t in services.prompt_sets.balance(stored.id).topics]
    assert rows == [("banking", 3, 3, 3), ("travel", 3, 3, 3)]
