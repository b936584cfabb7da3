"""The HTTP interface: one file per resource, thin over `backend.services`."""

from backend.api.errors import Failsafe, add_handlers
from backend.api.metrics import RequestMetrics
from backend.api.request_ids import RequestIds
from backend.api.routes import add_routes

__all__ = ["Failsafe", "RequestIds", "RequestMetrics", "add_handlers", "add_routes"]
