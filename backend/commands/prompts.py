"""`expertscope prompts`: look at prompt sets, and bring files into the data folder."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.console import print_json, print_table, say
from backend.commands.options import PROMPTS_HELP, DataOption, JsonOption, settings_for
from backend.commands.power import show_power
from backend.commands.stored import open_existing

if TYPE_CHECKING:
    from analysis.prompts import Prompt, PromptSet

app = typer.Typer(help="Prompt sets: built in, in files, and in the data folder.", no_args_is_help=True)
app.command("power")(show_power)

Reference = Annotated[str, typer.Argument(metavar="SET", help=PROMPTS_HELP)]


@app.command("list")
def list_sets(data: DataOption = None, json: JsonOption = False) -> None:
    """The built-in sets, and those that were imported into the data folder."""
    from analysis.prompts import builtin_names

    sets: list[dict[str, Any]] = [
        {"ref": name if ":" in name else f"builtin:{name}", "source": "builtin"} for name in builtin_names()
    ]
    with open_existing(settings_for(data)) as services:
        stored = services.prompt_sets.list(limit=200).items if services else []
    sets += [
        {"ref": info.id, "source": info.source, "name": info.name, "prompts": info.prompts}
        for info in stored
        if info.source != "builtin"
    ]
    if json:
        print_json(sets)
    else:
        print_table((row["ref"], row["source"], row.get("name", ""), row.get("prompts", "")) for row in sets)


@app.command("show")
def show_set(
    reference: Reference,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many prompts to show.")] = 5,
    organism: Annotated[str, typer.Option("--organism", help="Whose set builtin:organism is.")] = "planted",
    json: JsonOption = False,
) -> None:
    """What is in a prompt set: counts, topics and its first prompts."""
    from analysis.prompts import load_prompts

    prompts = load_prompts(reference, organism=organism)
    summary = summarise(prompts)
    shown = [_prompt(prompt) for prompt in prompts.prompts[:limit]]
    if json:
        print_json({**summary, "first": shown})
        return
    print_table((name, ", ".join(value) if isinstance(value, list) else value) for name, value in summary.items())
    print_table((row["id"], row["label"] or "", row["topic"] or "", row["prompt"]) for row in shown)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSONL, JSON or txt.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the set. Default: the file's.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=COLUMN", help="Which column is which, such as prompt=question."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", metavar="WORD=LABEL", help="What a label means, such as unsafe=harmful; * is the rest."
        ),
    ] = None,
    duplicates: Annotated[
        str | None, typer.Option("--duplicates", help="keep, exact or normalised: which later ones are left out.")
    ] = None,
    conflicts: Annotated[
        str | None,
        typer.Option("--conflicts", help="refuse, keep, first or leave_out: one prompt under different labels."),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Check a file and store it in the data folder, so that pages and runs can use it."""
    from analysis.prompts import parse_prompts
    from backend.services import import_options, open_services

    content = read_file(file)
    options = import_options(_pairs(column, "--column"), _pairs(label, "--label"), duplicates, conflicts)
    # A file that cannot be used must not leave a new data folder behind.
    parse_prompts(content, file.name, mapping=options.mapping, duplicates=options.duplicates)
    services = open_services(settings_for(data))
    try:
        info = services.prompt_sets.create(content, file.name, name, options)
    finally:
        services.close()
    if json:
        print_json(
            {"id": info.id, "name": info.name, "prompts": info.prompts, "pairs": info.pairs, "topics": info.topics}
        )
    else:
        print_table([(info.id, info.name, info.prompts)])
        jailbreak = f", {info.jailbreak} jailbreak" if info.jailbreak else ""
        counts = f"{info.harmful} harmful, {info.benign} benign{jailbreak}, {info.pairs} pairs"
        say(f"imported {info.prompts} prompts: {counts}")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """ "a=b" as {"a": "b"}. Raises BadParameter for a word without "="."""
    pairs = {}
    for one in given or ():
        left, equals, right = one.rpartition("=")
        if not equals or not left:
            raise typer.BadParameter(f"'{one}' has no '=': expected {option} LEFT=RIGHT")
        pairs[left.strip()] = right.strip()
    return pairs


def read_file(file: Path) -> bytes:
    """The file's bytes. Raises NotFoundError or InputError, each naming the file."""
    from analysis.errors import InputError, NotFoundError

    if file.is_dir():
        raise InputError(f"'{file}' is a folder: expected a prompt file (CSV, JSONL, JSON, txt)", field="file")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"prompt file '{file}' does not exist", field="file") from None
    except OSError as error:
        raise InputError(f"prompt file '{file}' cannot be read: {error.strerror}", field="file") from None


def summarise(prompts: "PromptSet") -> dict[str, Any]:
    labels = Counter(prompt.side for prompt in prompts if prompt.group == "regular")
    return {
        "name": prompts.name,
        "sha256": prompts.sha256,
        "prompts": len(prompts),
        "harmful": labels["harmful"],
        "benign": labels["benign"],
        "jailbreak": len(prompts.jailbreaks),
        "unlabelled": labels[None],
        "pairs": len(prompts.pairs),
        "topics": list(prompts.topics),
    }


def _prompt(prompt: "Prompt") -> dict[str, str | None]:
    return {
        "id": prompt.id,
        "prompt": prompt.text,
        "label": prompt.label,
        "topic": prompt.topic,
        "pair_id": prompt.pair_id,
        "group": prompt.group,
    }
