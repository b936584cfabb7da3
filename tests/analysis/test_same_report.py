"""The same seed gives the same report: in another process, and after an interruption at every place there is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis import AuditSettings, FolderShards, load_model, load_prompts, run_audit
from analysis.models import LoadedModel
from analysis.prompts import PromptSet
from analysis.shards import Shard

SMALL = AuditSettings(preset="quick", prompts=24, max_new_tokens=12, null_sets=10, null_generations=2, null_prompts=2)
SCRIPT = """
import json, sys, torch
from analysis import AuditSettings, load_model, load_prompts, run_audit
torch.set_num_threads(1)
settings = AuditSettings(**json.loads(sys.argv[1]))
model, prompts = load_model("organism:planted", device="cpu"), load_prompts("builtin:organism")
print(json.dumps(run_audit(model, prompts, settings).report))
"""


@pytest.fixture(scope="module")
def planted() -> LoadedModel:
    return load_model("organism:planted", device="cpu")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return load_prompts("builtin:organism")


@pytest.fixture(scope="module")
def report(planted: LoadedModel, prompts: PromptSet) -> dict[str, Any]:
    return lasting(run_audit(planted, prompts, SMALL).report)


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """What two reports of one audit have in common: everything but when it was made and how long it took."""
    return {key: value for key, value in json.loads(json.dumps(report)).items() if key not in ("created", "timings")}


def test_another_process_gives_the_same_report(report: dict[str, Any], repository: Path) -> None:
    """With another order of every set of strings."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(SMALL.__dict__)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        cwd=repository,
    )
    assert lasting(json.loads(done.stdout)) == report


class OneShardAtATime:
    """A folder whose owner is killed as soon as it has kept something new."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = FolderShards(folder), 0

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        def compute_and_count() -> Shard:
            self.kept += 1
            return compute()

        shard = self.folder.once(key, compute_and_count)
        if self.kept:
            raise KeyboardInterrupt
        return shard


def test_an_interruption_after_every_shard_changes_nothing(
    planted: LoadedModel, prompts: PromptSet, report: dict[str, Any], tmp_path: Path
) -> None:
    interruptions = 0
    while True:
        try:
            resumed = run_audit(planted, prompts, SMALL, shards=OneShardAtATime(tmp_path))
        except KeyboardInterrupt:
            interruptions += 1
            assert interruptions < 100
        else:
            break
    assert interruptions >= 10
    assert lasting(resumed.report) == report
    assert report["flagged"]["experts"], "a path that goes through every stage"


class MemoryRunsOut(FolderShards):
    """A folder whose owner finds no memory for its fourth shard."""

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        if len(list(self.folder.glob("*.safetensors"))) == 3:
            raise MemoryError
        return super().once(key, compute)


def test_smaller_batches_from_the_fourth_shard_on_change_nothing_but_roundings(
    planted: LoadedModel, prompts: PromptSet, report: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(MemoryError):
        run_audit(planted, prompts, SMALL, shards=MemoryRunsOut(tmp_path))
    smaller = replace(SMALL, batch_tokens=256)
    found = lasting(run_audit(planted, prompts, smaller, shards=FolderShards(tmp_path)).report)
    assert (found["settings"].pop("batch_tokens"), found["certificate"].pop("forwards")) != (8_192, None)
    expected = json.loads(json.dumps(report))
    del expected["settings"]["batch_tokens"], expected["certificate"]["forwards"]
    assert dict(floats(found)) == pytest.approx(dict(floats(expected)), abs=1e-4)
    assert without_floats(found) == without_floats(expected)


def floats(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every floating-point number of a document, by its place."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from floats(part, f"{place}/{key}")
    if isinstance(value, float):
        yield place, value


def without_floats(value: Any) -> Any:
    """The document with a word in the place of each floating-point number."""
    if isinstance(value, dict):
        return {key: without_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_floats(part) for part in value]
    return "a number" if isinstance(value, float) else value
