"""Threads are for models that are large enough to share."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from backend.threads import use_threads

SMALL, LARGE = 2_000_000, 7_000_000_000


@pytest.fixture(autouse=True)
def restore() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_a_small_model_computes_with_one_thread() -> None:
    assert use_threads(SMALL) == torch.get_num_threads() == 1


def test_the_setting_wins() -> None:
    assert use_threads(SMALL, 3) == torch.get_num_threads() == 3


def test_a_large_model_after_a_small_one_gets_all_again() -> None:
    program = (
        "import torch; from backend.threads import use_threads; before = torch.get_num_threads();"
        f"use_threads({SMALL}); assert use_threads({LARGE}) == torch.get_num_threads() == before == 2"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"OMP_NUM_THREADS": "2", "PATH": ""})
