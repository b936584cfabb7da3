"""Every ⓘ says what it is about, and every one that a page asks for exists."""

import re
from pathlib import Path

from analysis.criteria import CRITERIA
from app.pages.routing.rail import SHOWN
from app.quantities import QUANTITIES


def test_every_quantity_is_one_or_two_sentences_with_a_source() -> None:
    for key, quantity in QUANTITIES.items():
        assert quantity.name[0].isupper() or key == "q_value", key
        assert quantity.sentence.endswith("."), key
        assert quantity.source, key
        assert "!" not in quantity.sentence, key


def test_every_tip_that_a_page_asks_for_exists(repository: Path) -> None:
    sources = "\n".join(p.read_text(encoding="utf-8") for p in (repository / "app").rglob("*.py"))
    asked = set(re.findall(r'\binfo\("([a-z_]+)"\)', sources)) | set(SHOWN)
    assert len(asked) > 15
    assert asked - set(QUANTITIES) == set()


def test_every_criterion_has_its_tip() -> None:
    assert set(CRITERIA) - set(QUANTITIES) == set()
