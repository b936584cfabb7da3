"""From an address to a page. Each page file names its patterns; the navigation callback asks here.

Own routing instead of Dash Pages, because Dash keeps those in a registry per process, shared by every application.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from dash import dcc
from dash.development.base_component import Component
from sqlalchemy.exc import DBAPIError
from starlette.routing import compile_path

from app.addresses import PREFIX
from app.components import states
from backend.logs import request_id
from backend.services import (
    ConflictError,
    ExpertScopeError,
    ForbiddenError,
    NotFoundError,
    Services,
    passing_reason,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Visit:
    """An address that somebody opened: its path's parameters and its query."""

    params: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """What a page shows. `title` is the document's, `section` the entry of the main navigation it belongs to. A view
    that tells of a failure is not `lasting`: the next time it may be another."""

    title: str
    body: Component
    section: str = "runs"
    lasting: bool = True


@dataclass(frozen=True)
class Page:
    """A pattern below /ui such as "/runs/{run_id}" and what makes its view."""

    pattern: str
    show: Callable[[Services, Visit], View]


class Router:
    """Finds the page of an address. Earlier pages win, so "/runs/new" stands before "/runs/{run_id}"."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = [(compile_path(page.pattern), page) for page in pages]

    def match(self, pathname: str) -> tuple[Page, dict[str, Any]] | None:
        path = pathname.removeprefix(PREFIX).rstrip("/") or "/"
        for (regex, _, convertors), page in self._pages:
            if found := regex.match(path):
                return page, {name: convertors[name].convert(text) for name, text in found.groupdict().items()}
        return None

    def show(self, services: Services, pathname: str, search: str) -> View:
        """The view of an address; what services refuse is shown as a page that says why."""
        found = self.match(pathname)
        if found is None:
            return View("Not found", states.missing(f"There is no page at {pathname}."), section="")
        page, params = found
        try:
            return page.show(services, Visit(params, dict(parse_qsl(search.lstrip("?")))))
        except NotFoundError as error:
            return View("Not found", states.missing(error.message), section="", lasting=False)
        except ForbiddenError as error:
            return View("Not allowed", states.failed("You may not see this", error.message), lasting=False)
        except ConflictError as error:
            return View("Not ready", states.failed("This is not ready", error.message), lasting=False)
        except ExpertScopeError as error:
            return View("Cannot be shown", states.failed("This cannot be shown", error.message), lasting=False)
        except Exception as error:
            # Without a view the page would stay the outline that it began as.
            return View("Failed", _unforeseen(error, pathname + search), lasting=False)


def _unforeseen(error: Exception, address: str) -> Component:
    """What passes, such as a full disk or a database that is locked, by its reason; the rest has a line in the log."""
    again = dcc.Link("Try again", href=address, className="button")
    if isinstance(error, DBAPIError) and (reason := passing_reason(error)):
        log.error("a page could not be made: %s", reason)
        return states.failed("This page cannot be made now", f"{reason[:1].upper()}{reason[1:]}.", again)
    log.error("a page could not be made", exc_info=error)
    known = request_id()
    line = f"the line with request_id {known} of the server's log" if known else "the server's log"
    return states.failed("This page could not be made", f"It failed in a way nobody foresaw: {line} says what.", again)
