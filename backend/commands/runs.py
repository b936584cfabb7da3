"""`expertscope runs`: whole runs taken from one data folder to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.console import print_json, say
from backend.commands.options import DataOption, JsonOption, settings_for
from backend.commands.stored import open_existing

if TYPE_CHECKING:
    from backend.services import Services

app = typer.Typer(help="Runs that have ended.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run's id, as its address on the pages has it.")]


@app.command("export")
def export_run(
    run_id: RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The archive, such as run.zip; made.")],
    data: DataOption = None,
) -> None:
    """Write a finished run as one archive: result, answers, prompts and model description."""
    settings = settings_for(data)
    with open_existing(settings) as services:
        _existing(services, settings.data_dir).archives.write(run_id, out)
    say(f"{out.stat().st_size:,} bytes: {out}")


@app.command("import")
def import_run(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="What 'expertscope runs export' has written.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a run back from its archive, under a new id where its own is taken."""
    from analysis.errors import NotFoundError
    from backend.services import open_services

    if not archive.is_file():
        raise NotFoundError(f"there is no archive '{archive}'")
    services = open_services(settings_for(data))
    try:
        run = services.archives.read(archive)
    finally:
        services.close()
    if json:
        print_json({"id": run.id, "name": run.name, "kind": run.kind})
    else:
        print(run.id)  # noqa: T201
        say(f"imported '{run.name}'")


@app.command("delete")
def delete_run(run_id: RunArgument, data: DataOption = None) -> None:
    """Delete a run that has ended, with everything of it."""
    settings = settings_for(data)
    with open_existing(settings) as services:
        _existing(services, settings.data_dir).storage.delete(run_id)
    say(f"run {run_id} is gone")


def _existing(services: "Services | None", folder: Path) -> "Services":
    from analysis.errors import NotFoundError

    if services is None:
        raise NotFoundError(f"there is no database in '{folder}'")
    return services
