"""What a run of each kind does, once its model and its prompts are at hand.

Each kind is one function from a task to a result. All expensive work goes through the task's shard store, in the same
order at every attempt, and cancelling takes hold wherever progress is told.
"""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.audit import AuditSettings, audit
from analysis.detectors.detection import detect
from analysis.detectors.trained import FILE as DETECTOR_FILE
from analysis.evidence.split import subset
from analysis.masking import MaskSettings, mask_trial
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.result import AuditResult
from analysis.routing.trace import Progress
from analysis.shards import ShardStore
from analysis.trace_document import TraceSettings, trace_document
from analysis.tuning import inspect_adapter
from analysis.tuning.settings import TuneSettings
from analysis.tuning.trial import tune_trial
from backend.services import RunDocument, RunInfo, RunKind, Services

Result = AuditResult | RunDocument


@dataclass(frozen=True)
class Task:
    """One attempt at a run. `files` is an empty folder; what is left in it when the run ends belongs to the run.
    `batch_tokens` is how many token places may go through the model at once."""

    run: RunInfo
    services: Services
    shards: ShardStore
    progress: Progress
    files: Path
    batch_tokens: int = AuditSettings.batch_tokens

    @property
    def sizes(self) -> AuditSettings:
        """How much of everything the preset asks for; other kinds take their share of what an audit does."""
        run = self.run
        sizes = AuditSettings.from_preset(run.preset, seed=run.seed, judge=run.judge, second_judge=run.second_judge)
        return replace(sizes, batch_tokens=self.batch_tokens)

    def answer_length(self) -> int:
        given = self.run.parameters.get("max_new_tokens")
        return self.sizes.max_new_tokens if given is None else int(given)

    def experts(self) -> list[tuple[int, int]]:
        return [(layer, expert) for layer, expert in self.run.parameters["experts"]]


def _audit(task: Task, model: LoadedModel, prompts: PromptSet) -> Result:
    return audit(model, prompts, task.sizes, shards=task.shards, progress=task.progress)


def _trace(task: Task, model: LoadedModel, prompts: PromptSet) -> Result:
    settings = TraceSettings(
        seed=task.run.seed,
        prompts=task.sizes.prompts,
        max_new_tokens=task.answer_length(),
        preset=task.run.preset,
        batch_tokens=task.batch_tokens,
    )
    return RunDocument(trace_document(model, prompts, settings, shards=task.shards, progress=task.progress))


def _mask(task: Task, model: LoadedModel, prompts: PromptSet) -> Result:
    sizes, asked = task.sizes, task.run.parameters
    settings = MaskSettings(
        mode=asked["mode"],
        window=asked["window"],
        seed=task.run.seed,
        judge=task.run.judge,
        prompts=sizes.prompts,
        max_new_tokens=task.answer_length(),
        batch_tokens=task.batch_tokens,
        null_sets=sizes.null_sets,
        null_generations=sizes.null_generations,
        null_prompts=sizes.null_prompts,
    )
    found = mask_trial(model, prompts, task.experts(), settings, shards=task.shards, progress=task.progress)
    return RunDocument(found)


def _detect(task: Task, model: LoadedModel, prompts: PromptSet) -> Result:
    run, some = task.run, subset(prompts, task.sizes.prompts, task.run.seed)
    found = detect(
        model,
        some,
        run.parameters["detector"],
        seed=run.seed,
        batch_tokens=task.batch_tokens,
        shards=task.shards,
        progress=task.progress,
    )
    (task.files / DETECTOR_FILE).write_bytes(found.trained.to_bytes())
    return RunDocument(found.document)


def _tune(task: Task, model: LoadedModel, prompts: PromptSet) -> Result:
    asked, draft = task.run.parameters, task.files / "adapter"
    stress = asked["direction"] == "stress"
    settings = TuneSettings.from_preset(
        task.run.preset,
        seed=task.run.seed,
        judge=task.run.judge,
        direction=asked["direction"],
        recipe="lora" if stress else asked["recipe"],
        rank=asked["rank"],
        steps=asked["steps"],
        batch_tokens=task.batch_tokens,
    )
    if asked["controls"] is not None:
        settings = settings.with_controls(asked["controls"])
    found = tune_trial(
        model,
        prompts,
        task.experts(),
        settings,
        shards=task.shards,
        permit=task.services.permits.stress(task.run) if stress else None,
        adapter=None if stress else draft,
        progress=task.progress,
    )
    if draft.exists():
        found["inspection"] = inspect_adapter(draft, model=model).as_dict()
        _pack(draft, task.files / "adapter.zip")
    return RunDocument(found)


def _pack(folder: Path, archive: Path) -> None:
    """The folder as one file to take away, and no folder any more. Weights do not shrink, so they are stored as is."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{folder.name}/{path.name}")
    shutil.rmtree(folder)


Work = Callable[[Task, LoadedModel, PromptSet], Result]
WORK: Mapping[RunKind, Work] = {
    "audit": _audit,
    "trace": _trace,
    "mask": _mask,
    "detect": _detect,
    "tune": _tune,
}
