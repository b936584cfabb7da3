"""`expertscope backup`, `restore` and `check`: the data folder as a whole."""

from pathlib import Path
from typing import Annotated

import typer

from backend.commands.console import print_json, print_table, say
from backend.commands.options import DataOption, JsonOption, settings_for
from backend.commands.stored import open_existing


def backup(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A file whose name ends in .tar.zst, or a new folder; made.")
    ],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Back up the database and the files of every run while server and worker go on."""
    from backend.services.backups import make_backup

    manifest = make_backup(settings_for(data), out)
    if json:
        print_json(manifest.model_dump())
    else:
        say(f"{len(manifest.files)} files, {manifest.size:,} bytes, schema {manifest.revision}: {out}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What 'expertscope backup' has written.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fill an empty data folder from a backup; every file is verified first, and what fails leaves nothing."""
    from backend.services.backups import restore_backup

    manifest = restore_backup(settings_for(data), source)
    if json:
        print_json(manifest.model_dump())
    else:
        say(f"{len(manifest.files)} files of {manifest.created} restored: start 'expertscope serve' on this folder")


def check(
    data: DataOption = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Delete damaged shards and what belongs to no run, unless it was touched within the hour."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Verify the database and every stored result, file and shard, and list what belongs to nothing."""
    from analysis.errors import NotFoundError

    settings = settings_for(data)
    with open_existing(settings) as services:
        if services is None:
            raise NotFoundError(f"there is no database in '{settings.data_dir}': nothing to check")
        repaired = services.storage.repair() if repair else []
        faults = services.storage.faults()
    if json:
        print_json({"faults": [vars(fault) for fault in faults], "repaired": [vars(fault) for fault in repaired]})
    else:
        print_table((fault.kind, fault.place, fault.message) for fault in faults)
        say(_summary(len(faults), sum(fault.repairable for fault in faults), len(repaired)))
    if faults:
        raise typer.Exit(1)


def _summary(faults: int, repairable: int, repaired: int) -> str:
    done = f"{repaired} deleted, " if repaired else ""
    if not faults:
        return f"{done}everything stored is as it was written"
    return f"{done}{faults} faults, {repairable} of them can be deleted with --repair once they are an hour old"
