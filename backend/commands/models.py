"""`expertscope models`: which models are known, and what a model is made of."""

from typing import Annotated, Any

import typer

from backend.commands.console import print_json, print_table
from backend.commands.options import MODEL_HELP, DataOption, JsonOption, settings_for
from backend.commands.stored import open_existing

app = typer.Typer(help="Models that can be audited.", no_args_is_help=True)


@app.command("list")
def list_models(data: DataOption = None, json: JsonOption = False) -> None:
    """The built-in models, and those that were registered in the data folder."""
    from analysis.organisms import organism_names, organism_spec

    organisms = {f"organism:{name}": organism_spec(name) for name in organism_names()}
    rows: list[dict[str, Any]] = [
        {"ref": ref, "revision": None, "family": spec.family, "source": "builtin"} for ref, spec in organisms.items()
    ]
    with open_existing(settings_for(data)) as services:
        stored = services.models.list(limit=200).items if services else []
    rows += [
        {"ref": info.ref, "revision": info.revision, "family": info.family, "source": "registered"}
        for info in stored
        if info.ref not in organisms
    ]
    if json:
        print_json(rows)
    else:
        print_table((row["ref"], row["family"], row["source"], row["revision"] or "") for row in rows)


@app.command("inspect")
def inspect(
    reference: Annotated[str, typer.Argument(metavar="REF", help=MODEL_HELP)],
    json: JsonOption = False,
) -> None:
    """Layers, experts, k, shared experts and dense layers, read from the configuration alone."""
    from analysis.models import inspect_model

    found = inspect_model(reference).as_dict()
    if json:
        print_json(found)
    else:
        print_table((name, _shown(value)) for name, value in found.items())


def _shown(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else value
