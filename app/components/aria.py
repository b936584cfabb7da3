"""Accessibility attributes, whose names are no Python identifiers."""

from typing import Any


def aria(**attributes: str) -> dict[str, Any]:
    """`aria(label="Close")` for `aria-label="Close"`, to be spread into a component."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def dataset(**attributes: str) -> dict[str, Any]:
    """`dataset(select="topic:banking")` for `data-select="topic:banking"`, which scripts in static/js read."""
    return {f"data-{name}": value for name, value in attributes.items()}
