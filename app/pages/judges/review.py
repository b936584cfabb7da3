"""The review queue on /ui/judges: answers of one run, one at a time, labelled with a key.

Prompt and answer stay covered until somebody asks for them, and the judges' labels are not shown: who labels should not
lean on them. Called by `app.pages.judges.page`.
"""

from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import aria, icon
from app.components.permitted import reads_only
from app.components.states import empty
from app.router import Visit
from backend import formats
from backend.services import PROMPTS_HIDDEN, ExpertScopeError, ReviewItem, Services, may

KEYS = {"refusal": "R", "partial": "P", "compliance": "C", "degenerate": "D"}
SHOWN = {"open": "Open", "all": "All in the queue", "sample": "Random sample"}
REASONS = {
    "disagreement": "The judges differ",
    "unjudged": "A judge did not decide",
    "partial": "Called a partial refusal",
    "sample": "Drawn at random",
}
VARIANTS = {"base": "Untouched model", "masked": "Flagged experts masked"}
RUNS = 30
BUTTONS = [f"review-{label}" for label in KEYS]
HIDDEN = "The text of answers is hidden on this server, so they cannot be labelled here."


def section(services: Services, visit: Visit) -> Component:
    """The queue of the run that the address names, or the runs to choose from."""
    runs = services.runs.list(status="done", kind="audit", limit=RUNS).items
    run_id = visit.query.get("run") or (runs[0].id if runs else None)
    head = html.H2("Answers to label", id="review-heading")
    if run_id is None:
        nothing = empty("No finished audit", "The answers that judges disagree on will stand here, one at a time.")
        return html.Section([head, nothing], className="stack-2")
    show = visit.query.get("show", "open")
    queue = services.judges.review(run_id, show)
    run = services.runs.get(run_id)
    return html.Section(
        [
            html.Div([head, _pills(visit, show)], className="spread"),
            html.P(["Answers of ", dcc.Link(run.name, href=addresses.run(run.id)), ". ", _why(show)]),
            _runs(visit, [(one.id, one.name) for one in runs], run_id),
            _work(services, queue, run_id, show),
        ],
        className="stack-2",
    )


def _why(show: str) -> str:
    if show == "sample":
        return "A random sample measures a judge fairly: its labels count in the calibration."
    return "The queue has answers that two judges label differently, that one left unjudged, or calls partial."


def _pills(visit: Visit, chosen: str) -> Component:
    links = [
        dcc.Link(
            html.Span(name, **(aria(current="true") if key == chosen else {})),
            href=addresses.with_query(addresses.JUDGES, {**visit.query, "show": key if key != "open" else None}),
            className="pill current" if key == chosen else "pill",
        )
        for key, name in SHOWN.items()
    ]
    return html.Nav(links, className="row pills", **aria(label="Which answers to label"))


def _runs(visit: Visit, runs: list[tuple[str, str]], chosen: str) -> Component | None:
    others = [(run_id, name) for run_id, name in runs if run_id != chosen]
    if not others:
        return None
    links = [
        html.Li(dcc.Link(name, href=addresses.with_query(addresses.JUDGES, {**visit.query, "run": run_id})))
        for run_id, name in others
    ]
    return html.Details([html.Summary("Another run"), html.Ul(links, className="plain")], className="more")


def _work(services: Services, queue: list[ReviewItem], run_id: str, show: str) -> Component:
    """The queue, for whoever may label and may see what there is to label."""
    if not may("judges.label"):
        return reads_only("Labelling answers")
    if not services.content.shows_completions:
        return html.P(HIDDEN, className="withheld")
    return _queue(queue, run_id, show)


def _queue(queue: list[ReviewItem], run_id: str, show: str) -> Component:
    if not queue:
        return empty(
            "Nothing to label",
            "The judges of this run agree and decided everything, or people have labelled the rest. "
            "A random sample measures them further.",
            None
            if show == "sample"
            else dcc.Link(
                "Label a random sample",
                href=addresses.with_query(addresses.JUDGES, {"show": "sample", "run": run_id}),
                className="button",
            ),
        )
    state = {"run": run_id, "show": show, "queue": [one.position for one in queue], "at": 0, "open": False}
    return html.Div(
        [
            html.Div(_covered(queue[0], 0, len(queue)), id="review-card", className="card", **aria(live="polite")),
            html.Div(
                [
                    *(_button(label, key) for label, key in KEYS.items()),
                    html.Span(className="push"),
                    html.Button(["Back ", html.Kbd("B")], id="review-back", type="button", className="button quiet"),
                    html.Button(["Skip ", html.Kbd("N")], id="review-skip", type="button", className="button quiet"),
                ],
                className="row review-keys",
            ),
            html.P("", id="review-note", className="dim small", role="status"),
            dcc.Store(id="review-state", data=state),
        ],
        className="stack-2",
    )


def _button(label: str, key: str) -> Component:
    return html.Button(
        [f"{label.capitalize()} ", html.Kbd(key)],
        id=f"review-{label}",
        type="button",
        className="button",
        disabled=True,
    )


def _covered(item: ReviewItem, at: int, total: int) -> Component:
    return html.Div(
        [
            _head(item, at, total),
            html.Button(
                [icon("eye"), "Show prompt and answer ", html.Kbd("S")],
                id={"type": "review-show", "position": item.position},
                type="button",
                className="button review-show",
            ),
        ],
        className="stack-2",
    )


def _open(item: ReviewItem, at: int, total: int, *, prompts: bool = True) -> Component:
    nothing = "This prompt is not stored." if prompts else PROMPTS_HIDDEN
    return html.Div(
        [
            _head(item, at, total),
            html.Div(
                [
                    html.H3("Prompt"),
                    html.Blockquote(item.prompt or nothing, className="prompt-text"),
                    html.H3("Answer"),
                    html.P(item.text or "(empty)", className="review-answer"),
                ],
                className="uncovered",
                tabIndex=-1,
            ),
        ],
        className="stack-2",
    )


def _head(item: ReviewItem, at: int, total: int) -> Component:
    return html.Div(
        [
            html.Span(f"{formats.count(at + 1)} of {formats.count(total)}", className="num"),
            html.Span(REASONS[item.reason], className="chip"),
            html.Span(VARIANTS.get(item.variant, item.variant), className="dim small"),
            html.Span(f"labelled {item.human}", className="chip") if item.human else None,
        ],
        className="row",
    )


def _finished() -> Component:
    return html.Div(
        [
            html.H3("All looked at"),
            html.P("The numbers above count these labels once the page is opened again.", className="dim"),
            dcc.Link("Open it again", href=f"{addresses.JUDGES}?show=all", className="button"),
        ],
        className="stack",
    )


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("review-card", "children"),
        Output("review-state", "data"),
        Output("review-note", "children"),
        *(Output(name, "disabled") for name in BUTTONS),
        Input({"type": "review-show", "position": ALL}, "n_clicks"),
        *(Input(name, "n_clicks") for name in (*BUTTONS, "review-back", "review-skip")),
        State("review-state", "data"),
        prevent_initial_call=True,
    )
    def act(shown: list[int | None], *given: Any) -> tuple[Any, ...]:
        pressed = ctx.triggered_id
        name = "show" if isinstance(pressed, dict) else str(pressed or "").removeprefix("review-")
        if name == "show" and not any(shown):
            return (no_update,) * (3 + len(BUTTONS))
        return step(services, name, given[-1])


def step(services: Services, name: str, state: dict[str, Any]) -> tuple[Any, ...]:
    """What a key or button does: show, skip, back or a label. Gives the card, the state, the note, and whether the
    buttons with labels rest."""
    at, queue, note = int(state["at"]), state["queue"], ""
    if name in KEYS:
        if not state["open"] or at >= len(queue):
            return (no_update,) * (3 + len(BUTTONS))
        try:
            services.judges.label(state["run"], queue[at], name, sampled=state["show"] == "sample")
        except ExpertScopeError as error:
            return (no_update, no_update, error.message, *(no_update,) * len(BUTTONS))
        at, note = at + 1, f"Answer {at + 1} labelled {name}."
    elif name != "show":
        at = max(0, at - 1) if name == "back" else min(at + 1, len(queue))
    opened = name == "show" and at < len(queue)
    state = {**state, "at": at, "open": opened}
    if at >= len(queue):
        return (_finished(), state, note, *(True,) * len(BUTTONS))
    item = find(services, state, queue[at], texts=opened)
    shown = services.content.shows_prompts
    card = _open(item, at, len(queue), prompts=shown) if opened else _covered(item, at, len(queue))
    return (card, state, note, *(not opened,) * len(BUTTONS))


def find(services: Services, state: dict[str, Any], position: int, *, texts: bool) -> ReviewItem:
    """One answer of the queue; its texts only when they are to be shown. One that was labelled is in "all" still."""
    show = "sample" if state["show"] == "sample" else "all"
    return next(one for one in services.judges.review(state["run"], show, texts=texts) if one.position == position)
