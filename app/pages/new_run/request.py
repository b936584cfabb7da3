"""What the form amounts to: an estimate with what stops it, and the request that Start makes."""

from dataclasses import replace
from typing import Any

from app.pages.new_run import kind as new_run_kind
from app.pages.new_run.blocks import PRESETS
from app.pages.new_run.summary import Asked
from app.pages.prompt_sets.preview import Chosen
from backend.services import Ask, Cost, Estimate, ExpertScopeError, ModelInfo, NewRun, Services

HALF = 50
"""Points either side of a rate, from which on an interval says nothing."""


def asked_of(services: Services, form: dict[str, Any], staged: Any) -> tuple[Asked, dict[str, Cost]]:
    """The form with its estimate and what stops it, and what every preset would take."""
    kind, preset = form["kind"] or "audit", form["preset"] or "standard"
    model = services.models.get(form["model"]) if form["model"] else None
    stops = [] if model else ["Choose or register a model."]
    ask = _ask(services, model, form, staged) if model and (staged or form["prompts"]) else None
    if not (staged or form["prompts"]):
        stops.append("Choose a prompt set, or drop a file.")
    estimate: Estimate | None = None
    found: dict[str, Cost] = {}
    if ask is not None:
        estimate = services.estimates.ask(ask)
        found = {name: services.estimates.cost(replace(ask, preset=name)) for name in PRESETS}
        stops += [*estimate.stops, *_refusals(services, form, ask)]
    chosen = Chosen.of(staged) if staged else None
    if chosen is None and ask is not None:
        chosen = Chosen("", ask.balance, ask.chars)
    return Asked(kind, preset, form["seed"], form["experts"], model, chosen, estimate, stops), found


def _ask(services: Services, model: ModelInfo, form: dict[str, Any], staged: Any) -> Ask:
    kind: Any = form["kind"] or "audit"
    points = form["points"]
    half_width = points / 100 if isinstance(points, int | float) and 0 < points < HALF else None
    preset = form["preset"] or "standard"
    own = {name: value for name, value in _own(form).items() if name != "experts"}
    if not staged:
        return services.estimates.stored(model, form["prompts"], kind, preset, None, own, half_width)
    chosen = Chosen.of(staged)
    return Ask(model, chosen.balance, chosen.chars, kind, preset, None, own, half_width)


def _own(form: dict[str, Any]) -> dict[str, Any]:
    """The kind's own parameters; without experts as long as they cannot be read."""
    try:
        return new_run_kind.parameters(form["kind"] or "audit", form)
    except ExpertScopeError:
        return {}


def _refusals(services: Services, form: dict[str, Any], ask: Ask) -> list[str]:
    """Why the run would be refused if it were started now, in the words that it would be refused with."""
    if not isinstance(form["seed"], int):
        return ["The seed is no whole number from 0 on."]
    try:
        services.runs.check(request_of({"judge": "rules", "second": None, **form}), ask.balance)
    except ExpertScopeError as error:
        return [error.message]
    return []


def from_source(services: Services, request: NewRun, source: str | None) -> NewRun:
    """The same request by the run that the experts come from, as long as they are still that run's."""
    if not source or "experts" not in request.parameters:
        return request
    try:
        named = services.runs.named_experts(source)
    except ExpertScopeError:
        return request
    if request.parameters["experts"] != named:
        return request
    own = {name: value for name, value in request.parameters.items() if name != "experts"}
    return replace(request, parameters={**own, "experts_from": source})


def request_of(form: dict[str, Any]) -> NewRun:
    """The form as a request; the service checks every value. Raises InputError for experts that cannot be read."""
    kind: Any = form["kind"] or "audit"
    return NewRun(
        kind=kind,
        parameters=new_run_kind.parameters(kind, form),
        model=form["model"] or "",
        prompt_set_id=form["prompts"] or "",
        preset=form["preset"],
        seed=form["seed"],
        judge=form["judge"],
        priority=form.get("priority") or "normal",
        second_judge=(form["second"] or None) if kind == "audit" else None,
    )
