"""Parts of a page that only stand there, as data that a script turns into elements.

Every Dash component costs the browser about half a millisecond, when it appears and again whenever anything on the page
changes. A table of 94 layers has two thousand of them, and is no more than text and links.
"""

import json
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

TAGS = {
    getattr(html, name): name.lower()
    for name in ("A", "Button", "Code", "Div", "P", "Small", "Span", "Strong", "Td", "Tr")
}
_NAMES = {"className": "class", "colSpan": "colspan", "rowSpan": "rowspan", "tabIndex": "tabindex"}
_KEPT = frozenset(
    {"colspan", "rowspan", "class", "hidden", "href", "rel", "role", "tabindex", "target", "title", "type"}
)


def scripted(parts: Any) -> str:
    """Components without callbacks as JSON for static/js/scripted.js: a text, or [tag, attributes, children].

    Raises TypeError for a component or an attribute that would not survive: whatever has an id, a style or a callback.
    """
    return json.dumps(_children(parts), ensure_ascii=False, separators=(",", ":"))


def _children(parts: Any) -> list[Any]:
    if parts is None:
        return []
    if isinstance(parts, list | tuple):
        return [made for part in parts for made in _children(part)]
    return [_element(parts) if isinstance(parts, Component) else str(parts)]


def _element(part: Any) -> list[Any]:
    tag = "a" if isinstance(part, dcc.Link) else TAGS.get(type(part))
    if tag is None:
        raise TypeError(f"{type(part).__name__} is more than text and links: keep it a component")
    given = {name: value for name, value in part.to_plotly_json()["props"].items() if value is not None}
    children = given.pop("children", None)
    attributes = {}
    for name, value in given.items():
        attribute = _NAMES.get(name, name)
        if attribute not in _KEPT and not attribute.startswith(("aria-", "data-")):
            raise TypeError(f"a scripted {tag} cannot have '{name}'")
        if value is not False:
            attributes[attribute] = "" if value is True else str(value)
    return [tag, attributes, _children(children)]
