"""What tracing costs: prefill and generation with and without it, interleaved in one run, and memory against the
number of prompts.

    python -m benchmarks.capture [--device auto] [--rounds 9] [--json]

Builds a random OLMoE of at least 100 million parameters, checks that traced and untraced logits are equal bit for bit
and that the certificate holds, then times. The ratio is the median over rounds of traced to untraced within a round;
rounds alternate who goes first.
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, OlmoeConfig, PreTrainedTokenizerFast

from analysis.models import LoadedModel, load_model
from analysis.organisms.tokenizer import build_tokenizer
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import Batch
from analysis.routing.recorder import RoutingRecorder
from analysis.routing.trace import CaptureSettings, capture, eos_ids, generate, record_batch

PROMPTS, TOKENS, NEW_TOKENS = 8, 64, 24


def random_olmoe(folder: Path) -> Path:
    """117 million parameters: 8 layers of 32 experts, hidden 512."""
    tokenizer: PreTrainedTokenizerFast = build_tokenizer()
    config = OlmoeConfig(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=256,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        num_experts=32,
        num_experts_per_tok=4,
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(model: LoadedModel, rounds: int) -> dict[str, Any]:
    """Seconds and ratios of prefill and generation."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(model.tokenizer), (PROMPTS, TOKENS), generator=generator).to(model.device)
    batch = Batch(tuple(range(PROMPTS)), ids, torch.ones_like(ids))
    return {
        "prefill": compare(lambda: prefill(model, batch), lambda: traced_prefill(model, batch), rounds),
        "generation": compare(lambda: untraced(model, batch), lambda: record_batch(model, batch, NEW_TOKENS), rounds),
    }


@torch.inference_mode()
def prefill(model: LoadedModel, batch: Batch) -> torch.Tensor:
    logits: torch.Tensor = model.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    return logits


@torch.inference_mode()
def traced_prefill(model: LoadedModel, batch: Batch) -> torch.Tensor:
    recorder = RoutingRecorder(
        model.seam.layers, batch.attention_mask, torch.tensor(eos_ids(model), device=model.device)
    )
    with model.seam.attach(recorder):
        logits = prefill(model, batch)
    recorder.fetch()
    return logits


@torch.inference_mode()
def untraced(model: LoadedModel, batch: Batch) -> torch.Tensor:
    return generate(model, batch, NEW_TOKENS)


def compare(plain: Callable[[], Any], traced: Callable[[], Any], rounds: int) -> dict[str, float]:
    plain(), traced()
    seconds: dict[str, list[float]] = {"untraced": [], "traced": []}
    for number in range(rounds):
        pair = [("untraced", plain), ("traced", traced)]
        for name, run in pair if number % 2 else reversed(pair):
            seconds[name].append(timed(run))
    ratios = [t / u for t, u in zip(seconds["traced"], seconds["untraced"], strict=True)]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {**medians, "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}


def timed(run: Callable[[], Any]) -> float:
    synchronize()
    start = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def memory(model: LoadedModel) -> dict[str, float]:
    """Peak resident memory (GPU: peak allocated) in MB after capturing 64 and then 512 prompts."""
    peaks = {}
    for count in (64, 512):
        prompts = PromptSet("memory", tuple(Prompt(f"p{i}", f"prompt number {i % 7} of many") for i in range(count)))
        capture(model, prompts, CaptureSettings(max_new_tokens=4, batch_tokens=1024))
        peaks[f"after_{count}_prompts"] = peak_mb()
    return {**peaks, "growth": peaks["after_512_prompts"] - peaks["after_64_prompts"]}


def peak_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(str(random_olmoe(Path(folder) / "olmoe")), device=arguments.device)
    found = {
        "model": {"parameters": model.description.parameters, "dtype": str(model.dtype), "device": model.device.type},
        "machine": {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
        },
        **measure(model, arguments.rounds),
        "memory_mb": memory(model),
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if arguments.json else table(found))


def table(found: dict[str, Any]) -> str:
    size, dtype, device = (found["model"][name] for name in ("parameters", "dtype", "device"))
    head = f"OLMoE, {size / 1e6:.0f} M parameters, {dtype} on {device}"
    rows = [
        f"{head}; {PROMPTS} prompts of {TOKENS} tokens, {NEW_TOKENS} new tokens",
        "             untraced    traced   ratio  [range]",
    ]
    for name in ("prefill", "generation"):
        row = found[name]
        rows.append(
            f"{name:<12} {row['untraced']:>7.3f} s {row['traced']:>7.3f} s  {row['ratio']:.3f}  "
            f"[{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
        )
    peak = found["memory_mb"]
    rows.append(
        f"peak memory  {peak['after_64_prompts']:.0f} MB after 64 prompts, {peak['after_512_prompts']:.0f} MB after 512"
    )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
