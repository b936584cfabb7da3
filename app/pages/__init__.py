"""Every page, in the order in which addresses are matched, and what each registers as callbacks."""

from collections.abc import Callable, Sequence

from app.callbacks import Binder
from app.pages import (
    adapter_inspector,
    expert,
    experts,
    interventions,
    judges,
    models,
    new_run,
    playground,
    prompt_sets,
    report,
    routing,
    run_frame,
    run_home,
    runs,
    tokens,
    topics,
    tuning,
)
from app.router import Page

PAGES: Sequence[Page] = (
    runs.HOME,
    runs.PAGE,
    new_run.PAGE,
    run_home.PAGE,
    routing.PAGE,
    topics.PAGE,
    expert.PAGE,
    experts.PAGE,
    tokens.PAGE,
    interventions.PAGE,
    tuning.PAGE,
    report.PAGE,
    prompt_sets.PAGE,
    prompt_sets.ONE,
    models.PAGE,
    judges.PAGE,
    playground.PAGE,
)

REGISTRATIONS: Sequence[Callable[[Binder], None]] = (
    run_frame.register,
    runs.register,
    new_run.register,
    models.register,
    adapter_inspector.register,
    routing.register,
    experts.register,
    expert.register,
    topics.register,
    tokens.register,
    judges.register,
    playground.register,
)
