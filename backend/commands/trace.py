"""`expertscope trace`: the capture alone, with its certificate."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.console import print_json, progress_bar, say
from backend.commands.options import DeviceOption, JsonOption, ModelOption, OutOption, PromptsOption, prompts_for
from backend.commands.out_folder import check_out, filling
from backend.threads import use_threads

if TYPE_CHECKING:
    from analysis.routing.trace import Trace

MaxNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", min=0, max=8192, help="Longest answer; 0 traces the prompts alone.")
]


def trace(
    model: ModelOption,
    prompts: PromptsOption,
    out: OutOption,
    max_new_tokens: MaxNewTokens = 64,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Record which experts every prompt and answer uses; writes certificate.json, trace.safetensors, answers.jsonl."""
    check_out(out)
    captured = run_capture(model, prompts, max_new_tokens, device)
    certificate = captured.certificate.as_dict()
    with filling(out) as draft:
        _write(captured, certificate, draft)
    if json:
        print_json(certificate)
    else:
        seen = certificate["assignments_seen"]
        say(f"traced {len(captured.prompts)} prompts: {seen:,} selections, as many as the model made")
        say(f"wrote certificate.json, trace.safetensors and answers.jsonl to {out}")


def run_capture(model: str, prompts: str, max_new_tokens: int, device: str) -> "Trace":
    prompt_set = prompts_for(prompts, model)
    from analysis.models import load_model
    from analysis.routing.trace import CaptureSettings, capture

    with progress_bar() as progress:
        progress("load", 0, 1)
        loaded = load_model(model, device=device)
        use_threads(loaded.description.parameters)
        progress("load", 1, 1)
        return capture(loaded, prompt_set, CaptureSettings(max_new_tokens=max_new_tokens), progress=progress)


def _write(captured: "Trace", certificate: dict[str, Any], folder: Path) -> None:
    from safetensors.numpy import save

    arrays = {
        "selections": captured.selections,
        "tokens": captured.tokens,
        "probability": captured.probability,
        "weight": captured.weight,
    }
    about = {
        "layers": captured.layers,
        "top_k": captured.top_k,
        "prompt_ids": [prompt.id for prompt in captured.prompts],
    }
    # save_file would make a file that only its owner may read
    (folder / "trace.safetensors").write_bytes(save(arrays, metadata={"expertscope": json_module.dumps(about)}))
    text = json_module.dumps(certificate, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    (folder / "certificate.json").write_text(text, encoding="utf-8")
    answers = zip(captured.prompts, captured.answers, strict=True)
    lines = [{"prompt_id": prompt.id, "text": answer.text, "finished": answer.finished} for prompt, answer in answers]
    jsonl = "".join(json_module.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "answers.jsonl").write_text(jsonl, encoding="utf-8")
