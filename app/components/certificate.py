"""The badge that says whether the trace agrees with what the model did."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app.components.icons import icon
from backend import formats


def certificate_badge(certificate: Mapping[str, Any], href: str) -> Component:
    """A link to the certificate, with the verdict and the two counts behind it."""
    passed = bool(certificate["passed"])
    return html.A(
        [icon("shield" if passed else "warn"), "Capture exact" if passed else "Capture failed"],
        href=href,
        className="badge" if passed else "badge badge-bad",
        title=certificate_text(certificate),
    )


def certificate_text(certificate: Mapping[str, Any]) -> str:
    """ "4/4 layers, 61 440 of 61 440 selections"."""
    layers = f"{certificate['layers_seen']}/{certificate['layers_expected']} layers"
    seen, expected = certificate["assignments_seen"], certificate["assignments_expected"]
    return f"{layers}, {formats.count(seen)} of {formats.count(expected)} selections"
