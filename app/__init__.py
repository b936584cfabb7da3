"""The pages: a Dash application on the same ASGI server as the API.

`app.factory.attach_pages` puts them on a FastAPI server. They call `backend.services` in process, never their own HTTP
API, and compute no science. Nothing is imported here, so that `app.figures` can be had without the web.
"""
