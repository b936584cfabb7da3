"""`expertscope organism`: tiny models whose safety-critical experts are known."""

from pathlib import Path
from typing import Annotated

import typer

from backend.commands.console import print_json, print_table, say
from backend.commands.options import JsonOption, OutOption, SeedOption
from backend.commands.out_folder import check_out

app = typer.Typer(help="Model organisms: tiny models with known answers.", no_args_is_help=True)


@app.command("list")
def list_organisms(json: JsonOption = False) -> None:
    """Every organism and what is known of it."""
    from analysis.organisms import organism_names, organism_spec

    specs = [organism_spec(name) for name in organism_names()]
    if json:
        print_json([{"name": spec.name, "family": spec.family, "summary": spec.summary} for spec in specs])
    else:
        print_table((spec.name, spec.family, spec.summary) for spec in specs)


@app.command("train")
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An organism, as `organism list` names it.")],
    out: OutOption,
    seed: SeedOption = 0,
    family: Annotated[
        str | None, typer.Option(help="Build the design in another architecture, for example deepseek_v3.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="full, or brief: less training, less truth. By default as the design has it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train an organism from nothing and measure the truth about it; takes minutes on two cores."""
    from analysis.organisms import train_organism

    check_out(out)
    folder: Path = train_organism(name, out, seed, family=family, budget=budget, log=say)
    if json:
        print_json({"name": name, "folder": str(folder), "seed": seed, "family": family, "budget": budget})
    else:
        say(f"wrote the organism to {folder}")
