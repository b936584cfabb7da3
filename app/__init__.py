"""The pages: a Dash application on the same ASGI server as the API.

`attach_pages` puts them on a FastAPI server. They call `backend.services` in process, never their own HTTP API, and
compute no science.
"""

from app.factory import attach_pages

__all__ = ["attach_pages"]
