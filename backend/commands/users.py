"""`expertscope users`: accounts, for whoever may run programs on the data folder. Passwords are never arguments."""

import getpass
import sys
from typing import Annotated

import typer

from backend.access import Role
from backend.commands.console import print_json, print_table, say
from backend.commands.options import DataOption, JsonOption, settings_for

app = typer.Typer(help="Accounts of this installation.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
RoleOption = Annotated[Role, typer.Option("--role", help="viewer reads, analyst runs, admin manages.")]


@app.command("list")
def list_users(data: DataOption = None, json: JsonOption = False) -> None:
    """Every account with its role."""
    from backend.services import open_services

    services = open_services(settings_for(data))
    try:
        users = services.accounts.list(limit=500).items
    finally:
        services.close()
    rows = [
        {
            "name": one.name,
            "role": one.role.value,
            "state": "open" if one.active else "shut",
            "signs_in": "elsewhere" if one.external else "here",
            "seen": one.seen.isoformat(timespec="seconds") if one.seen else None,
        }
        for one in users
    ]
    if json:
        print_json(rows)
    else:
        print_table((row["name"], row["role"], row["state"], row["signs_in"], row["seen"] or "never") for row in rows)


@app.command("add")
def add_user(name: NameArgument, role: RoleOption = Role.VIEWER, data: DataOption = None) -> None:
    """Make an account. Asks for the password, or reads it from standard input where that is no terminal."""
    from backend.services import open_services

    password = _password()
    services = open_services(settings_for(data))
    try:
        made = services.accounts.create(name, role, password)
    finally:
        services.close()
    say(f"{made.name} is {made.role} and can sign in")


@app.command("change")
def change_user(
    name: NameArgument,
    role: Annotated[Role | None, typer.Option("--role", help="Its role from now on.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    shut: Annotated[bool, typer.Option("--shut", help="Shut the account.")] = False,
    reopen: Annotated[bool, typer.Option("--open", help="Open it again.")] = False,
    data: DataOption = None,
) -> None:
    """Change an account. A new password and shutting it end its sessions."""
    from backend.services import open_services

    if not (role or password or shut or reopen) or (shut and reopen):
        raise typer.BadParameter("give what to change: --role, --password, --shut or --open")
    new = _password() if password else None
    services = open_services(settings_for(data))
    try:
        user = services.accounts.find(name)
        active = reopen if shut or reopen else None
        changed = services.accounts.update(user.id, role=role, active=active, password=new)
    finally:
        services.close()
    say(f"{changed.name} is {changed.role}, {'open' if changed.active else 'shut'}")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise typer.BadParameter("the two passwords differ")
    return first
