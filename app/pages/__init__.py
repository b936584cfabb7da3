"""Every page, in the order in which addresses are matched, and what each registers as callbacks."""

from collections.abc import Callable, Sequence

from fastapi import FastAPI

from app.callbacks import Binder
from app.pages.account import page as account
from app.pages.admin import accounts as admin_accounts
from app.pages.admin import page as admin
from app.pages.compare import page as compare
from app.pages.documents import tuning
from app.pages.experts import expert
from app.pages.experts import page as experts
from app.pages.experts import rows as expert_rows
from app.pages.interventions import answer_changes
from app.pages.interventions import page as interventions
from app.pages.judges import page as judges
from app.pages.models import adapter_inspector
from app.pages.models import one as model
from app.pages.models import page as models
from app.pages.new_run import page as new_run
from app.pages.playground import page as playground
from app.pages.prompt_sets import importing as prompt_import
from app.pages.prompt_sets import page as prompt_sets
from app.pages.routing import page as routing
from app.pages.run import frame as run_frame
from app.pages.run import home as run_home
from app.pages.run import report
from app.pages.runs import page as runs
from app.pages.tokens import page as tokens
from app.pages.topics import page as topics
from app.router import Page
from backend.services import Services

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
    prompt_import.PAGE,
    prompt_sets.ONE,
    models.PAGE,
    model.PAGE,
    judges.PAGE,
    playground.PAGE,
    compare.PAGE,
    account.PAGE,
    admin.PAGE,
)

ROUTES: Sequence[Callable[[FastAPI, Services], None]] = (expert_rows.add_route,)
"""Addresses beside the pages' own, which scripts ask."""

REGISTRATIONS: Sequence[Callable[[Binder], None]] = (
    run_frame.register,
    runs.register,
    new_run.register,
    prompt_import.register,
    prompt_sets.register,
    models.register,
    adapter_inspector.register,
    routing.register,
    experts.register,
    expert.register,
    topics.register,
    tokens.register,
    answer_changes.register,
    judges.register,
    playground.register,
    compare.register,
    report.register,
    account.register,
    admin.register,
    admin_accounts.register,
)
