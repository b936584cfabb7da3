"""The examples in docs/python.md do what the page shows."""

import doctest
import re
from pathlib import Path

import torch


def test_the_examples_give_what_the_page_shows(repository: Path) -> None:
    torch.set_num_threads(1)
    page = repository / "docs" / "python.md"
    # A fence is no part of what an example prints.
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    example = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert len(example.examples) > 30
    told: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE).run(example, out=told.append)
    assert failed == 0, "".join(told)
