"""The published page says what a run found, and covers every family."""

from pathlib import Path

from analysis.conformance import FamilyResult, families
from analysis.conformance.page import page

EXACT = FamilyResult(
    "mixtral",
    "exact",
    "",
    model_types=("mixtral",),
    shared_experts=1,
    runs=("mixtral: eager/float32", "mixtral: grouped_mm/float32"),
).as_dict()
REFUSED = FamilyResult("nllb_moe", "unsupported", "an encoder | reads").as_dict()


def test_rows_become_tables_with_reasons_and_counts() -> None:
    text = page([EXACT, REFUSED], "5.0")
    assert "2 families with experts, 1 exact,\n1 unsupported, 0 wrong" in text
    assert "| mixtral | `mixtral` | yes | eager, grouped_mm |  |  |" in text
    assert "| nllb_moe | unsupported | an encoder \\| reads |" in text


def test_the_page_in_the_repository_covers_every_family_and_none_is_wrong(repository: Path) -> None:
    text = (repository / "docs" / "architectures.md").read_text(encoding="utf-8")
    listed = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    assert set(listed) - {"family", "---"} == {one.name for one in families()}
    assert "unsupported, 0 wrong." in text
