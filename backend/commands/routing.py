"""`expertscope routing`: whether two checkpoints route alike, and whether one model routes alike twice."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.console import ProgressLine, print_json, print_table, progress_bar
from backend.commands.options import MODEL_HELP, DeviceOption, JsonOption, PromptsOption, SeedOption, prompts_for
from backend.threads import use_threads

if TYPE_CHECKING:
    from analysis.models import LoadedModel
    from analysis.prompts import PromptSet
    from analysis.routing.determinism import Determinism
    from analysis.routing.saturation import Saturation
    from analysis.routing.token_sets import LayerShares
    from analysis.statistics import Interval

app = typer.Typer(help="How stable routing is.", no_args_is_help=True)

BatchOption = Annotated[int, typer.Option("--batch", min=2, max=1024, help="Prompts in the larger batch.")]


@app.command("saturation")
def saturation(
    model_a: Annotated[str, typer.Argument(metavar="A", help=f"A checkpoint. {MODEL_HELP}")],
    model_b: Annotated[str, typer.Argument(metavar="B", help="Another checkpoint of the same model.")],
    prompts: PromptsOption,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """The share of selected experts that two checkpoints have in common on the same tokens, layer by layer."""
    prompt_set = prompts_for(prompts, model_a)
    from analysis.routing.saturation import shared_selections
    from analysis.routing.token_sets import token_sets

    with progress_bar() as progress:
        # One after the other: two large models need not fit into memory together.
        first, second = (
            token_sets(_load(ref, device, progress), prompt_set, progress=progress) for ref in (model_a, model_b)
        )
    found = shared_selections(first, second, seed=seed)
    if json:
        print_json(_saturation(found, model_a, model_b, prompt_set))
    else:
        print_table([("layer", "overlap", "low", "high"), *_lines(found.layers, found.overall, found.per_layer)])


@app.command("determinism")
def determinism(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    prompts: PromptsOption,
    batch: BatchOption = 16,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """The share of top-k sets that change when prompts are run again, in batches, or in another dtype."""
    prompt_set = prompts_for(prompts, model)
    from analysis.routing.determinism import determinism as measure

    with progress_bar() as progress:
        loaded = _load(model, device, progress)
        found = measure(loaded, prompt_set, batch_prompts=batch, seed=seed, progress=progress)
    if json:
        print_json(_determinism(found, model, prompt_set))
    else:
        print_table([("changed", "layer", "share", "low", "high"), *_changes(found)])


def _load(ref: str, device: str, progress: ProgressLine) -> "LoadedModel":
    from analysis.models import load_model

    progress("load", 0, 1)
    loaded = load_model(ref, device=device)
    use_threads(loaded.description.parameters)
    progress("load", 1, 1)
    return loaded


def _saturation(found: "Saturation", model_a: str, model_b: str, prompts: "PromptSet") -> dict[str, Any]:
    return {
        "model_a": model_a,
        "model_b": model_b,
        "prompts": _about(prompts),
        "tokens": found.tokens,
        "chance": found.chance,
        "overall": found.overall.as_dict(),
        "per_layer": [
            {"layer": layer, "overlap": interval.as_dict()}
            for layer, interval in zip(found.layers, found.per_layer, strict=True)
        ],
    }


def _determinism(found: "Determinism", model: str, prompts: "PromptSet") -> dict[str, Any]:
    return {
        "model": model,
        "prompts": _about(prompts),
        "tokens": found.tokens,
        "dtype": found.dtype,
        "other_dtype": found.other_dtype,
        "batch_prompts": found.batch_prompts,
        **{name: _shares(found.layers, shares) for name, shares in _conditions(found)},
        "withheld": [{"what": what, "why": why} for what, why in found.withheld.items()],
    }


def _conditions(found: "Determinism") -> "list[tuple[str, LayerShares | None]]":
    return [("repeat", found.repeat), ("batch_size", found.batch_size), ("changed_dtype", found.changed_dtype)]


def _shares(layers: tuple[int, ...], shares: "LayerShares | None") -> dict[str, Any] | None:
    if shares is None:
        return None
    rows = zip(layers, shares.per_layer, strict=True)
    return {
        "overall": shares.overall.as_dict(),
        "per_layer": [{"layer": layer, "changed": interval.as_dict()} for layer, interval in rows],
    }


def _about(prompts: "PromptSet") -> dict[str, Any]:
    return {"name": prompts.name, "sha256": prompts.sha256, "n": len(prompts)}


def _changes(found: "Determinism") -> list[tuple[object, ...]]:
    titles = {
        "repeat": "repeat",
        "batch_size": f"batch of {found.batch_prompts}",
        "changed_dtype": f"{found.dtype} to {found.other_dtype}",
    }
    lines: list[tuple[object, ...]] = []
    for name, shares in _conditions(found):
        if shares is None:
            lines.append((titles[name], "withheld", found.withheld[name]))
        else:
            lines += [(titles[name], *line) for line in _lines(found.layers, shares.overall, shares.per_layer)]
    return lines


def _lines(layers: tuple[int, ...], overall: "Interval", per_layer: "tuple[Interval, ...]") -> list[tuple[object, ...]]:
    intervals = [*zip(layers, per_layer, strict=True), ("all", overall)]
    return [(layer, *(_figures(value) for value in (i.estimate, i.low, i.high))) for layer, i in intervals]


def _figures(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4g}"
