"""/ui/account: who one is here, one's password, and the tokens of one's programs."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.callbacks import Binder
from app.components import Column, aria, icon, plain_table
from app.components.states import empty, field_error
from app.router import Page, View, Visit
from backend import formats
from backend.services import ApiTokenInfo, ExpertScopeError, Principal, Role, Services, current

MAY = {
    Role.VIEWER: "You may read everything but the audit log and the accounts.",
    Role.ANALYST: "You may read, upload, run and label.",
    Role.ADMIN: "You may do everything, manage accounts and read the audit log.",
}


def show(services: Services, visit: Visit) -> View:
    who = current()
    if who.user_id is None:
        body = html.Div(
            [
                html.H1("No account"),
                html.P(
                    "This server has no accounts: whoever uses it on this machine is its administrator. "
                    "EXPERTSCOPE_ACCOUNTS=true lets in only who signs in.",
                    className="lead",
                ),
            ],
            className="page state-page",
        )
        return View("Account", body, section="account")
    account = services.accounts.get(who.user_id)
    body = html.Div(
        [
            html.Div(
                [html.H1(who.name), html.P(f"{who.role.capitalize()}. {MAY[who.role]}", className="lead")],
                className="stack",
            ),
            html.Section([html.H2("Tokens for programs"), *_tokens(services, who)], className="stack-2"),
            html.Section([html.H2("Password"), _password(account.external)], className="stack-2"),
            html.Section([html.H2("Sessions"), _sessions(account.sessions)], className="stack-2"),
        ],
        className="page stack-3",
    )
    return View("Account", body, section="account")


PAGE = Page("/account", show)


def _tokens(services: Services, who: Principal) -> list[Component]:
    roles = [{"value": role.value, "label": role.value.capitalize()} for role in Role if who.role.covers(role)]
    form = html.Div(
        [
            dmc.TextInput(id="token-name", label="What it is for", placeholder="nightly audit"),
            dmc.Select(id="token-role", label="Role", value="viewer", data=roles, allowDeselect=False),
            dmc.NumberInput(id="token-days", label="Days until it ends", value=90, min=1, max=366),
            html.Button("Make a token", id="token-make", type="button", className="button primary"),
        ],
        className="stack-2 narrow",
    )
    return [
        html.P(["A program sends one with each request: ", html.Code("Authorization: Bearer …"), "."], className="dim"),
        html.Div(_token_table(services), id="tokens-list"),
        html.Div(id="token-message", role="status"),
        html.Details([html.Summary("Make a token"), form], className="more"),
    ]


def _token_table(services: Services) -> Component:
    page = services.api_tokens.list(limit=200)
    if not page.items:
        return empty("No token yet", "Make one for a script that asks the API.")
    columns = [Column("For"), Column("Owner"), Column("Role"), Column("Ends"), Column("Last used"), Column("Act")]
    return plain_table(columns, [_token_row(one) for one in page.items], "Tokens for programs")


def _token_row(one: ApiTokenInfo) -> list[Any]:
    act: Any = (
        html.Span("revoked", className="dim")
        if one.revoked
        else html.Button(
            "Revoke",
            id={"type": "token-revoke", "token": one.id},
            type="button",
            className="button small-button",
            **aria(label=f"Revoke the token for {one.name}"),
        )
    )
    return [
        one.name,
        one.owner,
        one.role.value,
        html.Span(formats.moment(one.expires), className="num"),
        html.Span(formats.moment(one.used) if one.used else "never", className="num"),
        act,
    ]


def _password(external: bool) -> Component:
    if external:
        return html.P("You sign in at the identity provider and have no password here.", className="dim")
    return html.Div(
        [
            dmc.PasswordInput(id="own-old", label="The one you have"),
            dmc.PasswordInput(id="own-new", label="The new one", description="12 characters or more."),
            html.Button("Change the password", id="own-change", type="button", className="button"),
            html.Div(id="own-message", role="status"),
        ],
        className="stack-2 narrow",
    )


def _sessions(count: int) -> Component:
    return html.Div(
        [
            html.P(f"You are signed in with {formats.plural(count, 'browser')}.", className="dim"),
            html.Button("Sign out everywhere", id="own-out", type="button", className="button"),
            dcc.Location(id="own-gone", refresh=True),
        ],
        className="stack narrow",
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("tokens-list", "children"),
        Output("token-message", "children"),
        Input("token-make", "n_clicks"),
        Input({"type": "token-revoke", "token": ALL}, "n_clicks"),
        State("token-name", "value"),
        State("token-role", "value"),
        State("token-days", "value"),
        prevent_initial_call=True,
    )
    def tokens(_made: Any, _revoked: Any, name: str | None, role: str | None, days: Any) -> tuple[Any, Any]:
        which = ctx.triggered_id
        if not ctx.triggered[0]["value"]:
            return no_update, no_update
        try:
            if isinstance(which, dict):
                told = services.api_tokens.revoke(which["token"])
                said: Any = html.P(
                    [icon("check"), f" The token for {told.name} opens nothing now."], className="field-ok"
                )
            else:
                said = _shown_once(services, name or "", role or "", days)
            return _token_table(services), said
        except ExpertScopeError as error:
            return no_update, field_error(error.message)

    @bind.on(
        Output("own-message", "children"),
        Output("own-old", "value"),
        Output("own-new", "value"),
        Input("own-change", "n_clicks"),
        State("own-old", "value"),
        State("own-new", "value"),
        prevent_initial_call=True,
    )
    def password(clicks: int | None, old: str | None, new: str | None) -> tuple[Any, Any, Any]:
        who = current()
        if not clicks or who.user_id is None:
            return no_update, no_update, no_update
        try:
            services.accounts.update(who.user_id, password=new or "", old=old or "")
        except ExpertScopeError as error:
            return field_error(error.message), no_update, no_update
        text = " The password is changed, and your other browsers are signed out."
        return html.P([icon("check"), text], className="field-ok"), "", ""

    @bind.on(Output("own-gone", "href"), Input("own-out", "n_clicks"), prevent_initial_call=True)
    def out(clicks: int | None) -> Any:
        who = current()
        if not clicks or who.user_id is None:
            return no_update
        services.accounts.sign_out_everywhere(who.user_id)
        return "/sign-in"


def _shown_once(services: Services, name: str, role: str, days: Any) -> Component:
    made = services.api_tokens.create(name, role, days if isinstance(days, int) else 0)
    return html.Div(
        [
            html.P([icon("check"), f" The token for {made.info.name}. It is shown this once:"], className="field-ok"),
            html.Pre(made.secret, id="token-secret", className="secret", tabIndex=0, **aria(label="The new token")),
        ],
        className="stack",
    )
