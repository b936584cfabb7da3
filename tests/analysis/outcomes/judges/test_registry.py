"""Judges by name, and what the package promises."""

import subprocess
import sys

import pytest

from analysis.errors import NotFoundError
from analysis.outcomes import judges
from analysis.outcomes.judges import judge_names, load_judge


def test_every_name_loads_a_judge_of_that_name() -> None:
    assert judge_names() == ("rules", "rules:xstest", "rules:gcg", "rules:jailbreakbench")
    for name in judge_names():
        judge = load_judge(name)
        assert judge.name == name
        assert judge.version
        assert judge.judge("Hello?", "I'm sorry, but I cannot help.").label == "refusal"


def test_an_unknown_judge_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="no judge 'rulez': there are rules, rules:xstest") as error:
        load_judge("rulez")
    assert error.value.field == "judge"


def test_all_is_sorted() -> None:
    assert sorted(judges.__all__) == judges.__all__
    assert all(hasattr(judges, name) for name in judges.__all__)


def test_judges_need_no_model_library() -> None:
    script = "import sys, analysis.outcomes.judges; print('torch' in sys.modules or 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
