"""`expertscope audit-log`: whether the log of what was done is whole, and the log as a file."""

from typing import Annotated

import typer

from backend.commands.console import print_json, say
from backend.commands.options import DataOption, JsonOption, settings_for

app = typer.Typer(help="The log of what was done, by whom.", no_args_is_help=True)
HeadOption = Annotated[
    str | None,
    typer.Option("--head", metavar="ID:HASH", help="An earlier head, kept elsewhere, that has to be in the log still."),
]


@app.command("verify")
def verify(head: HeadOption = None, data: DataOption = None, json: JsonOption = False) -> int:
    """Walk along the chain of hashes. Exit 1 and the places at fault where it is broken.

    Prints the head, ID:HASH of the last entry. Kept on another machine it shows later that nothing was cut off.
    """
    from backend.services import open_services

    services = open_services(settings_for(data))
    try:
        found = services.audit_log.verify(head)
    finally:
        services.close()
    if json:
        print_json({"entries": found.entries, "head": found.head, "intact": found.intact, "faults": found.faults})
    else:
        for fault in found.faults:
            say(f"fault: {fault}")
        say(f"{found.entries} entries, {'intact' if found.intact else 'BROKEN'}; head {found.head or 'none'}")
    return 0 if found.intact else 1


@app.command("export")
def export(data: DataOption = None) -> None:
    """Every entry as a line of JSON on stdout, the oldest first, with its hashes."""
    import json as text
    from dataclasses import asdict

    from backend.services import open_services

    services = open_services(settings_for(data))
    try:
        services.audit_log.append("exports.audit_log", "audit-log.jsonl")
        for entry in services.audit_log.in_order():
            line = {**asdict(entry), "time": entry.time.isoformat()}
            typer.echo(text.dumps(line, ensure_ascii=False, sort_keys=True))
    finally:
        services.close()
