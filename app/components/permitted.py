"""What somebody may do is offered, and nothing else. Services refuse the rest anyway; this keeps it from view."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components.icons import icon
from backend.services import current, may


def permitted(action: str, component: Component) -> Component | None:
    """`component` for whoever may do `action`, nothing for others."""
    return component if may(action) else None


def new_run_link(href: str = addresses.NEW_RUN, text: str = "New run", look: str = "button") -> Component | None:
    """The way to a form for a new run, for whoever may start one; a primary one has the plus."""
    content: list[Component | str] = [icon("plus"), text] if "primary" in look else [text]
    return permitted("runs.write", dcc.Link(content, href=href, className=look))


def reads_only(what: str) -> Component:
    """For whoever only reads, in the place of a form: what it takes to do `what`."""
    role = current().role
    return html.P(
        [icon("eye"), html.Span(f"You have the role {role}, which reads. {what} takes an analyst: ask an admin.")],
        className="reads-only",
    )


def reads_only_page(title: str, what: str, back: Component) -> Component:
    """The same in the place of a whole page that only writes."""
    return html.Div([html.H1(title), reads_only(what), back], className="page state-page")
