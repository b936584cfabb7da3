"""The import page: a foreign file is understood, its doubts are shown, and it is stored as it was shown."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from backend.services import Services

Call = Callable[..., dict[str, Any]]
FOREIGN = (
    b"question,verdict,area\n"
    b"How do I bake bread?,ok,food\n"
    b"Tell me a toy threat,unsafe,threats\n"
    b"tell me a TOY threat,unsafe,threats\n"
    b"What is rain?,ok,weather\n"
)
COLUMNS = ("prompt", "label", "topic", "pair_id", "id", "group")


def contents(data: bytes) -> str:
    return "data:text/csv;base64," + base64.b64encode(data).decode()


def look(call: Call, data: bytes = FOREIGN) -> dict[str, Any]:
    values = {"import-upload.contents": contents(data), "import-upload.filename": "foreign.csv"}
    return call("import-look.data", values, "import-upload.contents")


def form(found: dict[str, Any], data: bytes = FOREIGN, **changed: Any) -> dict[str, Any]:
    """The page's fields as the dropped file left them."""
    fields = {f"import-column-{name}.value": found[f"import-column-{name}"]["value"] for name in COLUMNS}
    return {
        **fields,
        "import-upload.contents": contents(data),
        "import-upload.filename": "foreign.csv",
        "import-look.data": found["import-look"]["data"],
        "import-reading.value": found["import-reading"]["value"],
        "import-duplicates.value": "normalised",
        "import-conflicts.value": "refuse",
        **changed,
    }


def words(**chosen: str) -> dict[str, Any]:
    """What is chosen for words of the label column, as the browser sends pattern-matched fields."""
    pattern = '{"type":"import-word","word":["ALL"]}'
    return {
        f"{pattern}.value": [*chosen.values()],
        f"{pattern}.id": [{"type": "import-word", "word": word} for word in chosen],
    }


@pytest.fixture
def previewed(call: Call) -> Callable[..., dict[str, Any]]:
    """What the preview shows; `words` are the choices for words of the label column."""

    def ask(data: bytes = FOREIGN, **changed: Any) -> dict[str, Any]:
        values = form(look(call, data), data, **changed)
        return call("import-preview.children", values, "import-look.data")

    return ask


def test_a_dropped_file_shows_its_columns_and_what_they_most_likely_are(call: Call) -> None:
    found = look(call)
    assert "4 rows, 3 columns" in str(found["import-columns"])
    assert "How do I bake bread?" in str(found["import-columns"])
    assert found["import-column-prompt"]["value"] == "question"
    assert found["import-column-label"]["value"] == "verdict"
    assert found["import-column-topic"]["value"] == "area"
    assert found["import-column-pair_id"]["value"] is None
    assert found["import-name"]["value"] == "foreign"
    assert "import-read" in found["import-page"]["className"]


def test_each_word_of_the_label_column_has_its_choice(call: Call) -> None:
    found = look(call)
    values = {
        "import-column-label.value": "verdict",
        "import-look.data": found["import-look"]["data"],
        "import-reading.value": "columns",
    }
    shown = str(call("import-labels.children", values, "import-look.data"))
    assert "'word': 'ok'" in shown
    assert "'word': 'unsafe'" in shown
    assert "ok × 2" in shown
    assert shown.count("'value': 'harmful', 'label'") == 2
    without = call("import-labels.children", {**values, "import-column-label.value": None}, "import-look.data")
    assert "Every prompt is" in str(without)


def test_a_file_that_cannot_be_read_says_why_and_shows_no_fields(call: Call, services: Services) -> None:
    found = look(call, b'a,b\n"never closed')
    assert "quotation mark" in str(found["import-faults"])
    assert "import-read" not in found["import-page"]["className"]
    assert services.prompt_sets.list().count == 0


def test_without_words_the_preview_names_the_rows_at_fault(previewed: Callable[..., dict[str, Any]]) -> None:
    shown = previewed()
    assert "row 2, column 'verdict': unknown label 'ok'" in str(shown["import-preview"])
    assert shown["import-go"]["disabled"] is True


def test_repeats_are_shown_and_left_out(previewed: Callable[..., dict[str, Any]], services: Services) -> None:
    shown = previewed(**{"import-column-label.value": None})
    assert "3 of 4 rows" in str(shown["import-summary"])
    assert "3, 4" in str(shown["import-alike"])
    assert shown["import-go"]["disabled"] is False
    kept = previewed(**{"import-column-label.value": None, "import-duplicates.value": "keep"})
    assert "4 of 4 rows" in str(kept["import-summary"])
    assert services.prompt_sets.list().count == 0


def test_a_conflict_stops_the_import_until_it_is_decided(previewed: Callable[..., dict[str, Any]]) -> None:
    data = b"prompt,label\nHello,benign\nhello,harmful\nOther,harmful\n"
    shown = previewed(data)
    assert shown["import-conflicted"]["hidden"] is False
    assert "decide what becomes of them" in str(shown["import-summary"])
    assert shown["import-go"]["disabled"] is True
    decided = previewed(data, **{"import-conflicts.value": "leave_out"})
    assert "1 of 3 rows" in str(decided["import-summary"])
    assert decided["import-go"]["disabled"] is False


def test_harmful_prompts_are_covered_in_the_preview(previewed: Callable[..., dict[str, Any]]) -> None:
    shown = str(previewed(b"prompt,label\nA plain question,benign\nA toy threat,harmful\n")["import-preview"])
    assert "'children': 'A plain question', 'className': 'prompt-line'" in shown
    before, _, after = shown.partition("A toy threat")
    assert "'type': 'Summary'" in before[-400:]
    assert "reveal" in after[:200]


def test_the_balance_says_that_topic_and_harm_are_confounded(previewed: Callable[..., dict[str, Any]]) -> None:
    rows = "".join(f"p{i},{'harmful' if i % 2 else 'benign'},{'war' if i % 2 else 'food'}\n" for i in range(8))
    shown = str(previewed(f"prompt,label,topic\n{rows}".encode())["import-preview"])
    assert "Topic and harm are confounded: 0 %" in shown
    assert "No matched pairs" in shown


def test_import_stores_what_was_shown_and_opens_it(call: Call, services: Services) -> None:
    values = form(look(call), **{"import-go.n_clicks": 1, "import-name.value": "Mine"}, **words(unsafe="harmful"))
    refused = call("import-message.children", values, "import-go.n_clicks")
    assert "unknown label 'ok'" in str(refused["import-message"])
    assert services.prompt_sets.list().count == 0
    values |= words(ok="benign", unsafe="harmful")
    href = call("import-message.children", values, "import-go.n_clicks")["address"]["href"]
    stored = services.prompt_sets.get(href.rpartition("/")[2])
    assert (stored.name, stored.harmful, stored.benign, stored.topics) == ("Mine", 1, 2, ["food", "threats", "weather"])


def test_hidden_prompts_are_hidden_in_the_preview_too(call: Call, services: Services) -> None:
    hidden = services.settings.model_copy(update={"hide_prompts": True})
    object.__setattr__(services.prompt_sets, "_settings", hidden)
    found = look(call)
    assert "bake bread" not in str(found)
    shown = call("import-preview.children", form(found, **{"import-column-label.value": None}), "import-look.data")
    assert "bake bread" not in str(shown)
    assert "3 of 4 rows" in str(shown["import-summary"])
