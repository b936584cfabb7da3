"""`expertscope detect`: trains a detector that reads routing, and judges it on topics that it has not seen."""

import json as json_module
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.console import print_json, progress_bar, say
from backend.commands.options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    OutOption,
    PromptsOption,
    SeedOption,
    prompts_for,
)
from backend.commands.out_folder import check_out, filling
from backend.threads import use_threads

if TYPE_CHECKING:
    from analysis.detectors.detection import Detection


class DetectorName(StrEnum):
    ROUTESCAN = "routescan"
    ROUTER_LOGITS = "router_logits"
    NEAREST = "nearest"


DetectorOption = Annotated[DetectorName, typer.Option("--detector", help="What is read, and how.")]


def detect(
    model: ModelOption,
    prompts: PromptsOption,
    out: OutOption,
    detector: DetectorOption = DetectorName.ROUTESCAN,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Train and cross-validate a detector of harmful prompts; writes detector.json and detector.safetensors."""
    check_out(out)
    found = run_detection(model, prompts, detector, seed, device)
    from analysis.detectors.trained import FILE

    with filling(out) as draft:
        text = json_module.dumps(found.document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        (draft / "detector.json").write_text(text, encoding="utf-8")
        (draft / FILE).write_bytes(found.trained.to_bytes())
    if json:
        print_json(found.document)
    else:
        say(found.document["verdict"]["sentence"])
        say(f"wrote detector.json and {FILE} to {out}")


def run_detection(model: str, prompts: str, detector: str, seed: int, device: str) -> "Detection":
    # The prompts first: too few labels show at once, a model may take minutes to load.
    prompt_set = prompts_for(prompts, model)
    from analysis.detectors.detection import check_prompts
    from analysis.detectors.detection import detect as train_detector
    from analysis.models import load_model

    check_prompts(prompt_set)
    with progress_bar() as progress:
        progress("load", 0, 1)
        loaded = load_model(model, device=device)
        use_threads(loaded.description.parameters)
        progress("load", 1, 1)
        return train_detector(loaded, prompt_set, str(detector), seed=seed, progress=progress)
