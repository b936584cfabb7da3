"""Who may come in: accounts with their roles, and a form for one more."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.callbacks import Binder
from app.components import Column, aria, icon, plain_table
from app.components.states import field_error
from backend import formats
from backend.services import ExpertScopeError, Role, Services, UserInfo

MOST = 200
ROLES = [{"value": role.value, "label": role.value.capitalize()} for role in Role]
MEANING = "A viewer reads, an analyst also uploads and runs, an admin also manages accounts and reads the audit log."


def section(services: Services) -> Component:
    if not services.settings.accounts:
        return html.P(
            "There are no accounts. This server listens on this machine alone, for a single user: whoever uses it here "
            "is its administrator. EXPERTSCOPE_ACCOUNTS=true lets in only who signs in.",
            className="withheld",
        )
    return html.Section(
        [
            html.H2("Accounts"),
            html.P(MEANING, className="dim"),
            html.Div(_table(services), id="accounts-list"),
            html.Div(id="accounts-message", role="status"),
            dcc.Store(id="account-added"),
            html.Details([html.Summary("Add an account"), _form()], className="more"),
        ],
        className="stack-2",
    )


def _table(services: Services) -> Component:
    columns = [Column("Name"), Column("Role"), Column("Last seen"), Column("Sessions", numeric=True), Column("Act")]
    page = services.accounts.list(limit=MOST)
    rows = [_row(one) for one in page.items]
    more = html.P(f"The newest {MOST} of {formats.count(page.count)}.", className="dim") if page.next else None
    return html.Div([plain_table(columns, rows, "Accounts"), more], className="stack")


def _row(one: UserInfo) -> list[Any]:
    names = [one.name]
    if one.external:
        names.append(" signs in at the identity provider")
    if not one.active:
        names.append(" shut")
    return [
        html.Span([names[0], *(html.Span(text, className="dim small") for text in names[1:])]),
        dmc.Select(
            id={"type": "account-role", "user": one.id},
            value=one.role.value,
            data=ROLES,
            size="xs",
            allowDeselect=False,
            disabled=one.external,
            **{"aria-label": f"Role of {one.name}"},
        ),
        html.Span(formats.moment(one.seen) if one.seen else "never", className="num"),
        str(one.sessions),
        html.Div(
            [
                _button("account-out", one, "Sign out", f"Sign {one.name} out everywhere", disabled=not one.sessions),
                _button(
                    "account-shut" if one.active else "account-open",
                    one,
                    "Shut" if one.active else "Open",
                    f"{'Shut' if one.active else 'Open'} the account of {one.name}",
                ),
            ],
            className="row",
        ),
    ]


def _button(kind: str, one: UserInfo, text: str, label: str, *, disabled: bool = False) -> Component:
    return html.Button(
        text,
        id={"type": kind, "user": one.id},
        type="button",
        className="button small-button",
        disabled=disabled,
        **aria(label=label),
    )


def _form() -> Component:
    return html.Div(
        [
            dmc.TextInput(id="account-name", label="Name"),
            dmc.Select(id="account-new-role", label="Role", value="viewer", data=ROLES, allowDeselect=False),
            dmc.PasswordInput(
                id="account-password", label="Password", description="12 characters or more; they can change it."
            ),
            html.Button("Add the account", id="account-add", type="button", className="button primary"),
            html.Div(id="account-add-message", role="status"),
        ],
        className="stack-2 narrow",
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("accounts-list", "children"),
        Output("accounts-message", "children"),
        Input({"type": "account-role", "user": ALL}, "value"),
        Input({"type": "account-out", "user": ALL}, "n_clicks"),
        Input({"type": "account-shut", "user": ALL}, "n_clicks"),
        Input({"type": "account-open", "user": ALL}, "n_clicks"),
        Input("account-added", "data"),
        prevent_initial_call=True,
    )
    def change(_roles: Any, _out: Any, _shut: Any, _open: Any, added: str | None) -> tuple[Any, Any]:
        which, value = ctx.triggered_id, ctx.triggered[0]["value"]
        if not value:
            return no_update, no_update
        try:
            told = _told(services, which, str(value)) if isinstance(which, dict) else f"{added} can sign in"
            return _table(services), html.P([icon("check"), f" {told}."], className="field-ok")
        except ExpertScopeError as error:
            return _table(services), field_error(error.message)

    @bind.on(
        Output("account-add-message", "children"),
        Output("account-name", "value"),
        Output("account-password", "value"),
        Output("account-added", "data"),
        Input("account-add", "n_clicks"),
        State("account-name", "value"),
        State("account-new-role", "value"),
        State("account-password", "value"),
        prevent_initial_call=True,
    )
    def add(clicks: int | None, name: str | None, role: str | None, password: str | None) -> tuple[Any, ...]:
        if not clicks:
            return no_update, no_update, no_update, no_update
        try:
            made = services.accounts.create(name or "", role or "", password or "")
        except ExpertScopeError as error:
            return field_error(error.message), no_update, no_update, no_update
        return "", "", "", made.name


def _told(services: Services, which: dict[str, str], value: str) -> str:
    """Does what was asked for one account, and says it."""
    accounts, user = services.accounts, which["user"]
    if which["type"] == "account-out":
        ended = accounts.sign_out_everywhere(user)
        return f"{accounts.get(user).name} is signed out of {formats.plural(ended, 'session')}"
    if which["type"] == "account-role":
        changed = accounts.update(user, role=value)
        return f"{changed.name} is {changed.role}"
    changed = accounts.update(user, active=which["type"] == "account-open")
    return f"The account of {changed.name} is {'open' if changed.active else 'shut'}"
