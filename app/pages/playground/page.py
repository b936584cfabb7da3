"""/ui/playground: type a prompt; the model's answer judged, where it was routed, and what detectors say of it.

The question's id stands in the address, so that a colleague sees the same answer. Prompt and answer are covered until
somebody asks for them; while the worker is busy the page says with what, and the question can be taken back.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components.permitted import permitted, reads_only
from app.components.states import empty, field_error
from app.pages.playground import form as playground_form
from app.pages.playground import result as playground_result
from app.pages.playground import routing as playground_routing
from app.pages.playground.answer import LABELS
from app.router import Page, View, Visit
from backend.services import ExpertScopeError, ModelInfo, NewQuestion, NotFoundError, Services

CHOICES = 200
POLL_MS = 1000
KEPT = ("sel", "window")
"""What of the address the page's callbacks need to know."""


def show(services: Services, visit: Visit) -> View:
    models = services.models.list(limit=CHOICES).items
    body = _page(services, visit, models) if models else _no_model()
    head = html.Div(html.H1("Playground"), className="page-head")
    return View("Playground", html.Div([head, body], className="page"), section="playground")


PAGE = Page("/playground", show)


def _no_model() -> Component:
    return empty(
        "No model yet",
        "Here one prompt is put to one model: whether it refuses, which experts it uses, and how near it lies to the "
        "harmful prompts of an audit. Register a model first.",
        dcc.Link("Models", href=addresses.MODELS, className="button primary"),
    )


@dataclass(frozen=True)
class Shown:
    """A question's state as the page shows it: one line, the result, and whether it is still open."""

    status: Any
    result: Any
    open: bool = False

    def panel(self, services: Services) -> tuple[Any, ...]:
        """The values of `PANEL`."""
        return self.status, not self.open, self.result, playground_result.earlier(services), not self.open


PANEL = (
    ("playground-status", "children"),
    ("playground-cancel", "hidden"),
    ("playground-result", "children"),
    ("playground-earlier", "children"),
    ("playground-poll", "disabled"),
)


def _page(services: Services, visit: Visit, models: list[ModelInfo]) -> Component:
    question_id = visit.query.get("q")
    shown = state(services, question_id, visit.query)
    cancel = html.Button(
        "Take it back", id="playground-cancel", type="button", className="button", hidden=not shown.open
    )
    return html.Div(
        [
            permitted(
                "playground.ask",
                playground_form.form(services, models, playground_form.preferred(services, visit, models)),
            )
            or reads_only("Asking a model"),
            html.Div(
                [html.Div(shown.status, id="playground-status", role="status"), cancel],
                className="row playground-state",
            ),
            html.Div(shown.result, id="playground-result"),
            html.Div(playground_result.earlier(services), id="playground-earlier"),
            dcc.Interval(id="playground-poll", interval=POLL_MS, disabled=not shown.open),
            dcc.Store(id="playground-question", data=question_id),
            dcc.Store(id="playground-context", data={name: visit.query[name] for name in KEPT if name in visit.query}),
            dcc.Store(id="playground-longest", data=services.playground.longest_prompt),
            dcc.Store(id="playground-address"),
            dcc.Store(id="playground-window-address"),
        ],
        className="stack-3",
    )


def state(services: Services, question_id: str | None, query: Mapping[str, str]) -> Shown:
    """What the page shows of a question; None for none."""
    if not question_id:
        return Shown("", playground_result.invitation())
    try:
        asked = services.playground.read(question_id)
    except NotFoundError as error:
        return Shown("", empty("This question is gone", error.message))
    question = asked.question
    if question.waiting is not None:
        return Shown(playground_result.waiting(question.waiting), playground_result.skeleton(), open=True)
    if asked.answer is None:
        return Shown("It could not be answered.", playground_result.failed(question))
    return Shown(f"Answered: {LABELS[asked.answer.label].lower()}.", playground_result.result(asked, query))


def register(bind: Binder) -> None:
    bind.in_browser(
        "countPlayground",
        *(Output("playground-count", name) for name in ("children", "className")),
        Output("playground-ask", "disabled"),
        *(Input(f"playground-{name}", "value") for name in ("prompt", "model")),
        State("playground-longest", "data"),
    )
    for function, kept, source in (
        ("rememberPlayground", "playground-address", Input("playground-question", "data")),
        ("rememberPlaygroundWindow", "playground-window-address", Input("playground-window", "value")),
    ):
        bind.in_browser(function, Output(kept, "data"), source, prevent_initial_call=True)
    _register_asking(bind)
    _register_removal(bind)
    _register_following(bind)
    _register_looking(bind)


def _outputs() -> list[Output]:
    return [Output(*place, allow_duplicate=True) for place in PANEL]


def _register_asking(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        *_outputs(),
        Output("playground-question", "data", allow_duplicate=True),
        Output("playground-message", "children"),
        Input("playground-ask", "n_clicks"),
        *(State(f"playground-{name}", "value") for name in ("prompt", "model", "judge", "length")),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None, prompt: str | None, model: str, judge: str, length: str) -> tuple[Any, ...]:
        if not clicks:
            return (no_update,) * 7
        try:
            question = services.playground.ask(NewQuestion(model, prompt or "", judge, int(length)))
        except ExpertScopeError as error:
            return (*(no_update,) * 6, field_error(error.message))
        return (*state(services, question.id, {}).panel(services), question.id, None)


def _register_removal(bind: Binder) -> None:
    """Two buttons that never stand on the page together: one for an open question, one for one with its answer."""
    services = bind.services

    for button, said in (
        ("playground-cancel", "Taken back."),
        ("playground-delete", "Deleted: prompt, answer and all."),
    ):

        @bind.on(
            *_outputs(),
            Output("playground-question", "data", allow_duplicate=True),
            Input(button, "n_clicks"),
            State("playground-question", "data"),
            prevent_initial_call=True,
        )
        def remove(clicks: int | None, question_id: str | None, said: str = said) -> tuple[Any, ...]:
            if not clicks or not question_id:
                return (no_update,) * 6
            with suppress(NotFoundError):  # gone already, as was wished
                services.playground.remove(question_id)
            return (*Shown(said, playground_result.invitation()).panel(services), "")


def _register_following(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        *(Output(*place) for place in PANEL),
        Input("playground-poll", "n_intervals"),
        State("playground-question", "data"),
        State("playground-context", "data"),
        prevent_initial_call=True,
    )
    def follow(_ticks: int, question_id: str | None, query: dict[str, str] | None) -> tuple[Any, ...]:
        """While the question is open only its line changes, so that nothing on the page loses the focus."""
        shown = state(services, question_id, query or {})
        if shown.open:
            return shown.status, False, no_update, no_update, False
        return shown.panel(services)


def _register_looking(bind: Binder) -> None:
    services = bind.services
    question, context = State("playground-question", "data"), State("playground-context", "data")

    @bind.on(
        Output("playground-routing", "children"),
        Input("playground-window", "value"),
        question,
        prevent_initial_call=True,
    )
    def look(window: str, question_id: str) -> list[Component]:
        asked = services.playground.read(question_id)
        return playground_routing.picture(asked, window, asked.flagged)

    @bind.on(
        Output("playground-texts", "children"),
        Output("playground-prompt", "value"),
        Input("playground-show", "n_clicks"),
        question,
        context,
        State("playground-prompt", "value"),
        prevent_initial_call=True,
    )
    def uncover(
        clicks: int | None, question_id: str, query: dict[str, str] | None, typed: str | None
    ) -> tuple[Any, Any]:
        if not clicks:
            return no_update, no_update
        asked = services.playground.read(question_id, texts=True)
        return playground_result.texts(services, asked, query or {}), no_update if typed else asked.prompt or ""

    @bind.on(
        Output("playground-tokens", "children"),
        Input("playground-shading", "value"),
        question,
        context,
        prevent_initial_call=True,
    )
    def shade(key: str, question_id: str, query: dict[str, str] | None) -> Component:
        asked = services.playground.read(question_id, texts=True)
        choices = playground_result.choices(asked, query or {})
        return playground_routing.strip(asked, next((one for one in choices if one.key == key), choices[0]))
