"""report.html: one page that holds everything it needs and asks nothing of anyone.

It contains no script, and its own content security policy forbids any; names of topics, prompt sets and models are
hostile text and are escaped by the template engine.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.routing.table import RoutingTable
from backend import formats
from backend.reports.experts_csv import EVIDENCE
from backend.reports.pictures import HeatmapPicture, dose_picture, heatmap_picture, topic_picture
from backend.reports.summary import summarise

TOP_EXPERTS = 20
TOP_RARE = 10


def render_html(report: Mapping[str, Any], routing: RoutingTable) -> str:
    """The report as a page. `routing` gives the heatmaps their cells."""
    return fill("report.html.j2", report, routing)


def fill(
    template: str,
    report: Mapping[str, Any],
    routing: RoutingTable,
    *,
    paper: bool = False,
    max_flagged: int | None = None,
    **more: Any,
) -> str:
    """A template of this package with everything that a report has to say; `more` are names of the template's own.

    `max_flagged` bounds the flagged experts that are shown one by one; on `paper` wide tables stand in two parts.
    """
    experts = report["experts"]
    scored = list(experts[0]["scores"]) if experts else []
    hidden = {name for name, about in report.get("criteria", {}).items() if not about.get("shown", True)}
    flagged = [expert for expert in experts if expert["flagged"]]
    return (
        _environment()
        .get_template(template)
        .render(
            report=report,
            paper=paper,
            summary=summarise(report),
            heatmaps=_heatmaps(report, routing),
            topics=topic_picture(report["routing"]["per_layer"]),
            dose=dose_picture(_doses(report)),
            doses=_doses(report),
            rare=report.get("rare", ())[:TOP_RARE],
            flagged=flagged[:max_flagged],
            unlisted=len(flagged) - len(flagged[:max_flagged]),
            top=experts[:TOP_EXPERTS],
            criteria=[name for name in scored if name not in hidden],
            hidden=[name for name in scored if name in hidden],
            rungs=EVIDENCE,
            **more,
        )
    )


def _doses(report: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The dose curve; older reports, and those without a margin, have none."""
    doses: Sequence[Mapping[str, Any]] = (report.get("interventions") or {}).get("dose", ())
    return doses


def _heatmaps(report: Mapping[str, Any], routing: RoutingTable) -> list[HeatmapPicture]:
    layers, flagged = [*routing.layers], report["flagged"]["experts"]
    pictures = [heatmap_picture("Selection frequency, all prompts", routing.cells("frequency"), layers, flagged)]
    if {"harmful", "benign"} <= {*routing.groups}:
        title = "Selection frequency, harmful minus benign prompts"
        pictures.append(heatmap_picture(title, routing.cells("difference"), layers, flagged, signed=True))
    return pictures


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        formats.count,
        formats.interval,
        formats.number,
        formats.p_value,
        formats.percent,
        formats.rate,
    )
    environment.filters.update({write.__name__: write for write in filters})
    return environment
