"""What an inspection found in a model, in words: shown before it is registered, and on its page afterwards."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components import info
from app.pages.new_run.summary import gigabytes
from app.pages.run.report import facts_list
from backend import formats

SUPPORT = {
    "exact": "Traced exactly: traces of this family were held against the truth, and every run proves its own capture.",
    "unchecked": "Can be traced: its experts are called in the usual way. The family itself was not held against the "
    "truth, so a run's own certificate decides.",
}


def model_facts(description: Mapping[str, Any], memory: int) -> Component:
    """`description` as `ModelDescription.as_dict` has it; older ones lack some of it. `memory` in bytes."""
    found = description
    dense, shared = len(found["dense_layers"]), found["shared_experts"]
    active = found.get("active_parameters")
    facts: list[tuple[Any, Any]] = [
        ("Family", found["family"]),
        ("Layers", f"{len(found['moe_layers'])} with experts" + (f", {dense} dense" if dense else ", none dense")),
        ("Experts", f"{formats.count(found['experts'])} a layer, {found['top_k']} selected per token"),
        ("Shared experts", str(shared) if shared else "none"),
        ("Parameters", parameters(found["parameters"])),
        (html.Span(["Active per token ", info("active_parameters")]), parameters(active) if active else formats.NONE),
        ("Stored as", _stored(found)),
        (html.Span(["Memory to run ", info("estimated_memory")]), f"about {gigabytes(memory)}"),
        ("Chat template", "there" if found["has_chat_template"] else "missing: prompts are given as plain text"),
    ]
    if found.get("conformance"):
        facts.append(("Tracing", SUPPORT[found["conformance"]]))
    return html.Div(facts_list(facts), className="model-facts")


def parameters(value: int) -> str:
    """ "2.1 M", "30.5 B"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return str(value)


def _stored(found: Mapping[str, Any]) -> str:
    size = found.get("weights_bytes")
    places = f"{_size(size)} on disk" if size else "the weights are not on this machine yet"
    return ", ".join(filter(None, [found.get("dtype"), places]))


def _size(value: int) -> str:
    return gigabytes(value) if value >= 100_000_000 else f"{formats.number(value / 1e6, 2)} MB"
