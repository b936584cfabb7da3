"""Fills an empty database, so that the first page a person sees shows a finished audit.

The worker calls it at every start; once there is a run it does nothing.
"""

from collections.abc import Callable

import structlog

from analysis.errors import ExpertScopeError
from analysis.organisms import organism_names
from backend.services import NewRun, Services

log = structlog.get_logger(__name__)

IDEMPOTENCY_KEY = "first-start"
FIRST_AUDIT = NewRun(model="organism:planted", prompt_set_id="builtin:organism", preset="quick")
BUILTIN_SETS = ("builtin:organism", "builtin:topic-pairs")


def fill_empty_database(services: Services) -> None:
    """Register the model organisms and built-in prompt sets and queue one audit, unless there is a run already.

    A kill half way leaves no run, so the next start does all of it again; registering twice is harmless.
    """
    if services.runs.list(limit=1).count:
        return
    for name in organism_names():
        _register(services.models.register, f"organism:{name}")
    for ref in BUILTIN_SETS:
        _register(services.prompt_sets.register, ref)
    run = services.runs.create(FIRST_AUDIT, idempotency_key=IDEMPOTENCY_KEY)
    log.info("first audit queued", run_id=run.id, model=FIRST_AUDIT.model)


def _register(register: Callable[[str], object], ref: str) -> None:
    """One part that is missing from the installation must not keep the others away."""
    try:
        register(ref)
    except ExpertScopeError as error:
        log.warning("built-in part not registered", ref=ref, reason=error.message)
