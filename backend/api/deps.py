"""What routes ask for by type."""

from typing import Annotated

from fastapi import Depends, Query, Request

from backend.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
LimitQuery = Annotated[int, Query(ge=1, le=500, description="Most items on one page.")]
CursorQuery = Annotated[str | None, Query(description="`next` of the page before.")]
DownloadQuery = Annotated[bool, Query(description="Ask the browser to save the answer as a file.")]
