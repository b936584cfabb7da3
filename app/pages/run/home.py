"""/ui/runs/{id}: the first page of a run, which its kind decides."""

from collections.abc import Callable, Mapping

from app.pages.documents import detect as detect_run
from app.pages.documents import mask as mask_run
from app.pages.documents import trace as trace_run
from app.pages.documents import tuning
from app.pages.run import overview
from app.router import Page, View, Visit
from backend.services import RunKind, Services

BY_KIND: Mapping[RunKind, Callable[[Services, Visit], View]] = {
    "audit": overview.show,
    "trace": trace_run.show,
    "mask": mask_run.show,
    "detect": detect_run.show,
    "tune": tuning.show,
}


def show(services: Services, visit: Visit) -> View:
    return BY_KIND[services.runs.get(visit.params["run_id"]).kind](services, visit)


PAGE = Page("/runs/{run_id}", show)
